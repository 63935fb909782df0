//! Uploads that are interrupted, stall, or are too slow.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;
use support::hybrid::Hybrid;
use support::{JSONL, chunked, folder, read_response, start, wait};

#[test]
fn an_incomplete_upload_creates_no_job() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[("MAX_QUEUED_JOBS", "1")]);
    let incoming = || std::fs::read_dir(folder.path().join("incoming")).expect("list").count();
    let length = format!(
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: {JSONL}\r\nContent-Length: 99\r\n\r\n\"a\"\n"
    );
    let chunk = format!("{}4\r\n\"a\"\n\r\n", chunked("/v1/jobs", JSONL));
    for request in [length, chunk] {
        let mut stream = TcpStream::connect(&server.address).expect("connect");
        stream.write_all(request.as_bytes()).expect("write");
        wait("the start of the upload", || incoming() == 1);
        drop(stream);
        wait("the removal of the upload", || incoming() == 0);
    }
    assert_eq!(server.get("/v1/jobs").1, json!({"jobs": []}));
    // Its place in the queue is free again.
    server.teach(JSONL, "\"a\"\n");
}

#[test]
fn a_stalled_upload_is_aborted() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[("UPLOAD_IDLE_SECONDS", "1")]);
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    write!(stream, "{}4\r\n\"a\"\n\r\n", chunked("/v1/jobs", JSONL)).expect("write");
    let (status, body) = read_response(stream).expect("a response");
    assert_eq!((status, &body["error"]["code"]), (408, &json!("upload_stalled")));
    assert_eq!(server.get("/v1/jobs").1, json!({"jobs": []}));
}

#[test]
fn a_slow_upload_gives_its_place_to_others() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let environment =
        [("MAX_QUEUED_JOBS", "1"), ("UPLOAD_IDLE_SECONDS", "4"), ("MIN_UPLOAD_BYTES_PER_SECOND", "1000000")];
    let server = start(folder.path(), &hybrid.url(), &environment);
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    write!(stream, "{}", chunked("/v1/jobs", JSONL)).expect("write");
    let mut trickle = stream.try_clone().expect("a second handle");
    // Never pauses for long enough to be idle.
    let client = std::thread::spawn(move || {
        while trickle.write_all(b"1\r\n\n\r\n").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let (status, body) = read_response(stream).expect("a response");
    assert_eq!((status, &body["error"]["code"]), (408, &json!("upload_too_slow")), "{body}");
    let message = body["error"]["message"].as_str().expect("a message");
    assert!(message.contains("1000000 bytes a second (MIN_UPLOAD_BYTES_PER_SECOND)"), "{message}");
    server.teach(JSONL, "\"a\"\n");
    client.join().expect("the client");
    assert_eq!(std::fs::read_dir(folder.path().join("incoming")).expect("list").count(), 0);
}
