//! Memory use does not depend on the size of the upload.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::{BufWriter, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::hybrid::{Hybrid, Limits};
use support::{CSV, JSONL, Server, bad_lines, folder, read_response, start};

/// Maximum peak memory of an unoptimized build, in bytes: about a tenth of the upload.
const MAX_MEMORY: u64 = 24_000_000;

/// Streams an upload of this many bytes.
fn stream(server: &Server, kind: &str, bytes: usize, write: impl FnOnce(&mut dyn std::io::Write)) -> Value {
    let stream = TcpStream::connect(&server.address).expect("connect");
    let mut writer = BufWriter::with_capacity(1 << 16, stream.try_clone().expect("clone"));
    write!(writer, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {bytes}\r\n\r\n")
        .expect("head");
    write(&mut writer);
    writer.flush().expect("flush");
    let (status, job) = read_response(stream).expect("a response");
    assert_eq!(status, 202, "{job}");
    job
}

#[test]
fn an_upload_of_200_mb() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let (lines, filler) = (22_500, "x".repeat(8_900));
    let line = |number: usize| format!("{{\"text\":\"{number:010} {filler}\"}}\n");
    let size = lines * line(0).len();
    assert!(size > 200_000_000);
    let job = stream(&server, JSONL, size, |writer| {
        for number in 0..lines {
            writer.write_all(line(number).as_bytes()).expect("write");
        }
    });
    assert!(server.memory("VmHWM") < MAX_MEMORY, "after the upload: {}", server.memory("VmHWM"));
    let job = server.wait_for(job["id"].as_str().expect("an id"), "done");
    assert_eq!((&job["taught"], &job["bad"], &job["bytes_done"]), (&json!(lines), &json!(0), &json!(size)));
    let learned = hybrid.learned();
    assert_eq!((learned.len(), learned.values().max()), (lines, Some(&1)));
    assert!(server.memory("VmHWM") < MAX_MEMORY, "after the job: {}", server.memory("VmHWM"));
}

#[test]
fn an_upload_of_100_000_lines_with_everything_known_about_them() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    hybrid.set_limits(Limits { texts: 1000, characters: 100_000, bytes: 2_000_000 });
    let server = start(folder.path(), &hybrid.url(), &[]);
    let (lines, note) = (100_000, "n".repeat(200));
    let line = |number: usize| {
        format!(
            "{{\"text\":\"{number:010} {note}\",\"source\":\"{number:010}.md\",\"title\":\"T\",\"metadata\":{{\"note\":\"{note}\"}}}}\n"
        )
    };
    let job = stream(&server, JSONL, lines * line(0).len(), |writer| {
        for number in 0..lines {
            writer.write_all(line(number).as_bytes()).expect("write");
        }
    });
    let job = server.wait_for(job["id"].as_str().expect("an id"), "done");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(lines), &json!(0)));
    assert_eq!(hybrid.calls(), [1000; 100]);
    assert!(server.memory("VmHWM") < MAX_MEMORY, "{}", server.memory("VmHWM"));
}

#[test]
fn very_long_lines_and_rows() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let (block, blocks) = ("y,".repeat(1 << 19), 60);
    let upload = |kind: &str, before: &str, after: &str| {
        let job = stream(&server, kind, before.len() + block.len() * blocks + after.len(), |writer| {
            writer.write_all(before.as_bytes()).expect("write");
            (0..blocks).for_each(|_| writer.write_all(block.as_bytes()).expect("write"));
            writer.write_all(after.as_bytes()).expect("write");
        });
        job["id"].as_str().expect("an id").to_owned()
    };
    let id = upload(JSONL, "\"a\"\n{\"text\":\"", "\"}\n\"b\"\n");
    let job = server.wait_for(&id, "done");
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![2], &json!(2)));
    let id = upload(CSV, "text,n\nc,1\n", "\nd,2\n");
    let job = server.wait_for(&id, "done");
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![3], &json!(2)));
    let id = upload(CSV, "text\ne\n\"", "");
    let job = server.wait_for(&id, "failed");
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![3], &json!(1)));
    // The header is limited too.
    let body = format!("{}\n", "h,".repeat(100_000));
    assert_eq!(server.send("POST", "/v1/jobs", CSV, body.as_bytes()).0, 422);
    assert_eq!(hybrid.learned().into_keys().collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
    assert!(server.memory("VmHWM") < MAX_MEMORY, "{}", server.memory("VmHWM"));
}
