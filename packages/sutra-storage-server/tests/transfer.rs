//! Listing, export and import.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::{Server, start};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Concepts with ids in the order of their numbers.
fn concepts(numbers: std::ops::Range<u16>) -> Vec<Value> {
    let concept = |n| json!({"id": format!("{n:04}"), "text": format!("text {n}"), "vector": [n, 1], "metadata": {"n": n}});
    numbers.map(concept).collect()
}

fn filled(folder: &std::path::Path, count: u16) -> Server {
    let server = start(folder, &[]);
    let (status, body) = server.post("/v1/concepts", &json!({"model": "m", "concepts": concepts(0..count)}));
    assert_eq!(status, 200, "{body}");
    server
}

fn import(server: &Server, path: &str, lines: &[String]) -> (u16, Value) {
    server.send("POST", path, Some(&lines.join("\n")))
}

fn message(body: &Value) -> &str {
    body["error"]["message"].as_str().expect("a message")
}

#[test]
fn pages_list_every_concept_once_in_order() {
    let folder = folder();
    let server = filled(folder.path(), 25);
    let (mut path, mut all) = ("/v1/concepts?limit=10".to_owned(), Vec::new());
    loop {
        let (status, body) = server.get(&path);
        assert_eq!(status, 200, "{body}");
        let page = body["concepts"].as_array().expect("a page").clone();
        assert_eq!(page.len(), if all.len() == 20 { 5 } else { 10 });
        all.extend(page);
        let Some(next) = body["next"].as_str() else { break };
        path = format!("/v1/concepts?limit=10&cursor={next}");
        if all.len() == 10 {
            // A page goes on after its cursor, even if that concept is gone.
            server.send("DELETE", "/v1/concepts/0009", None);
        }
    }
    let mut expected = concepts(0..25);
    expected
        .iter_mut()
        .for_each(|concept| drop(concept.as_object_mut().expect("an object").remove("vector")));
    assert_eq!(all, expected);
    assert_eq!(server.get("/v1/concepts?limit=24").1["next"], Value::Null);
}

#[test]
fn large_concepts_make_short_pages() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let large: Vec<_> =
        (100..200).map(|n| json!({"id": n.to_string(), "text": "x".repeat(30_000)})).collect();
    assert_eq!(server.post("/v1/concepts", &json!({"concepts": large})).0, 200);
    let body = server.get("/v1/concepts?limit=1000").1;
    let count = body["concepts"].as_array().map_or(0, Vec::len);
    assert!((30..50).contains(&count), "{count}");
    assert!(body["next"].is_string());
    assert_eq!(server.lines("/v1/export").len(), 101);
}

#[test]
fn invalid_pages_are_refused() {
    let folder = folder();
    let server = filled(folder.path(), 1);
    for (query, expected) in [
        ("cursor=xyz", "cursor is invalid"),
        ("cursor=3", "cursor is invalid"),
        ("cursor=", "cursor is invalid"),
        ("cursor=ff", "cursor is invalid"),
        ("cursor=%2B1%2B1", "cursor is invalid"),
        ("limit=0", "between 1 and 1000"),
        ("limit=1001", "between 1 and 1000"),
        ("limit=x", "limit"),
        ("page=2", "unknown field `page`"),
    ] {
        let (status, body) = server.get(&format!("/v1/concepts?{query}"));
        assert_eq!(status, 400, "{query}");
        assert!(message(&body).contains(expected), "{query}: {body}");
    }
}

#[test]
fn an_export_imports_into_the_same_store() {
    let (first, second) = (folder(), folder());
    let server = filled(first.path(), 300);
    let lines = server.lines("/v1/export");
    assert_eq!(lines.len(), 301);
    let header: Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(header, json!({"store": {"model": "m", "dimension": 2, "concepts": 300}}));

    let other = start(second.path(), &[("MAX_BATCH", "7")]);
    let imported = import(&other, "/v1/import", &lines);
    assert_eq!(imported, (200, json!({"lines": 301, "created": 300, "updated": 0})));
    assert_eq!(other.lines("/v1/export"), lines);
    assert_eq!(other.get("/v1/stats").1["model"], "m");
    assert_eq!(other.find("17"), ["0017"]);
    assert_eq!(import(&other, "/v1/import", &lines).1["updated"], 300);
}

#[test]
fn an_export_is_a_snapshot() {
    let folder = folder();
    let server = filled(folder.path(), 1000);
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    stream.write_all(b"GET /v1/export HTTP/1.0\r\nHost: test\r\n\r\n").expect("send");
    let mut first = [0; 64];
    stream.read_exact(&mut first).expect("the start of the answer");
    for n in 0..1000 {
        if n % 10 == 0 {
            server.send("DELETE", &format!("/v1/concepts/{n:04}"), None);
        }
    }
    let (status, _) = server.post("/v1/concepts", &json!({"concepts": [{"id": "new", "text": "new"}]}));
    assert_eq!(status, 200);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest.lines().filter(|line| line.starts_with("{\"id\":")).count(), 1000);
    assert!(!rest.contains("\"new\""));
}

#[test]
fn a_bad_line_is_named_and_the_import_goes_on_after_it() {
    let folder = folder();
    let server = start(folder.path(), &[("MAX_BATCH", "2")]);
    let mut lines: Vec<String> = concepts(0..5).iter().map(Value::to_string).collect();
    lines[3] = "{\"id\":\"0003\"}".to_owned();
    let (status, body) = import(&server, "/v1/import", &lines);
    assert_eq!(status, 400);
    for expected in
        ["line 4 is not a concept: missing field `text`", "the first 3 lines are stored", "?skip=3"]
    {
        assert!(message(&body).contains(expected), "{body}");
    }
    assert_eq!(server.get("/v1/stats").1["concepts"], 3);
    lines[3] = concepts(3..4)[0].to_string();
    let imported = import(&server, "/v1/import?skip=3", &lines);
    assert_eq!(imported, (200, json!({"lines": 5, "created": 2, "updated": 0})));
}

#[test]
fn a_client_that_is_still_sending_gets_the_refusal() {
    let folder = folder();
    let server = start(folder.path(), &[("MAX_BODY_BYTES", "1000")]);
    // More than the buffers of both sides hold, so that the client cannot send it all unless it is read.
    let rest = vec![b'x'; 12 << 20];
    for (path, first, expected) in [
        ("/v1/import", "{}\n".to_owned(), "line 1 is not a concept"),
        ("/v1/import", "y".repeat(1001), "longer than 1000 bytes"),
        ("/v1/import?skip=x", String::new(), "skip"),
    ] {
        let mut stream = TcpStream::connect(&server.address).expect("connect");
        let length = first.len() + rest.len();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n{first}")
            .expect("the head");
        stream.write_all(&rest).expect("the rest is read");
        stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, and no reset");
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains(expected), "{path}: {answer}");
    }
}

#[test]
fn an_import_that_ends_early_is_an_error_and_goes_on_later() {
    let (first, second) = (folder(), folder());
    let lines = filled(first.path(), 10).lines("/v1/export");
    let server = start(second.path(), &[]);
    let (status, body) = import(&server, "/v1/import", &lines[..6]);
    assert_eq!(status, 400);
    assert!(message(&body).contains("10 concepts, but the body ended after 5"), "{body}");
    assert!(message(&body).contains("?skip=6"), "{body}");
    assert_eq!(server.get("/v1/stats").1["concepts"], 5);
    assert_eq!(import(&server, "/v1/import?skip=6", &lines).1["created"], 5);

    // In the middle of a line, and of the body.
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    let half = "{\"id\":\"x\",\"text\":\"x\"}\n{\"id\":\"y\"";
    write!(stream, "POST /v1/import HTTP/1.0\r\nHost: test\r\nContent-Length: 1000\r\n\r\n{half}")
        .expect("send");
    stream.shutdown(std::net::Shutdown::Write).expect("shutdown");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert_eq!(server.get("/v1/concepts/y").0, 404);
}

#[test]
fn lines_are_checked_like_concepts() {
    let folder = folder();
    let server = start(folder.path(), &[("MAX_BODY_BYTES", "2000")]);
    for (line, expected) in [
        ("{", "line 1 is not a concept: EOF"),
        ("{\"text\":\" \"}", "line 1 has a concept whose text is empty"),
        ("{\"text\":\"a\",\"colour\":1}", "unknown field `colour`"),
        ("{\"store\":{\"model\":\"\",\"dimension\":1,\"concepts\":0}}", "a model that is empty"),
        (&format!("{{\"text\":\"{}\"}}", "a".repeat(2000)), "longer than 2000 bytes"),
    ] {
        let (status, body) = import(&server, "/v1/import", &[line.to_owned(), String::new()]);
        assert_eq!(status, 400, "{line}");
        assert!(message(&body).contains(expected), "{line}: {body}");
    }
    assert_eq!(import(&server, "/v1/import", &[]), (200, json!({"lines": 0, "created": 0, "updated": 0})));
}
