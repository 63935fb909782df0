//! Clients that stop in the middle, and web pages that reach the service by a name of their own.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;
use support::{Server, start};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn send(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    stream.write_all(text.as_bytes()).expect("send");
    stream
}

fn status(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

fn anonymous_memory(server: &Server) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", server.id())).expect("the status");
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn half_open_connections_make_room_for_others() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    // More than the service keeps. The first ones are closed by it.
    let half_open: Vec<_> =
        (0..700).map(|_| send(&server, "GET /health HTTP/1.1\r\nHost: localhost\r\n")).collect();
    for n in 0..20 {
        assert_eq!(server.post("/v1/concepts", &json!({"concepts": [{"text": format!("text {n}")}]})).0, 200);
    }
    let mut first = half_open.first().expect("a connection").try_clone().expect("clone");
    assert_eq!(first.read(&mut [0; 1]).unwrap_or_default(), 0);
    let mut last = half_open.last().expect("a connection").try_clone().expect("clone");
    last.write_all(b"Connection: close\r\n\r\n").expect("send");
    assert_eq!(status(last), "200");
}

#[test]
fn unfinished_bodies_make_room_for_others() {
    let folder = folder();
    // 16 MiB for bodies: two of the largest.
    let server = start(folder.path(), &[("MAX_MEMORY_BYTES", "134217728")]);
    let part = " ".repeat(4 << 20);
    let start = "POST /v1/concepts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let mut unfinished = Vec::new();
    for _ in 0..40 {
        unfinished.push(send(&server, &format!("{start}Content-Length: 8000000\r\n\r\n{part}")));
        assert_eq!(server.post("/v1/concepts", &json!({"concepts": [{"text": "a"}]})).0, 200);
    }
    let memory = anonymous_memory(&server);
    assert!(memory < 128 << 10, "{memory} kB");
    assert_eq!(status(unfinished.remove(0)), "503");
}

#[test]
fn a_foreign_host_is_refused_by_every_route() {
    let folder = folder();
    let server = start(folder.path(), &[("ALLOWED_HOSTS", "storage.example")]);
    for (method, path) in
        [("GET", "/health"), ("GET", "/v1/export"), ("DELETE", "/v1/concepts/a"), ("GET", "/no")]
    {
        let request = |host| send(&server, &format!("{method} {path} HTTP/1.0\r\nHost: {host}\r\n\r\n"));
        assert_eq!(status(request("rebind.example")), "421", "{path}");
        assert_ne!(status(request("storage.example:80")), "421", "{path}");
    }
}
