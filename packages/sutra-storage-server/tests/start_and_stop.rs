//! How the program starts, refuses to, is checked and stops.
#![allow(clippy::expect_used, dead_code, reason = "a test that cannot go on has failed")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use support::{program, start};

fn run(folder: &Path, environment: &[(&str, &str)]) -> Output {
    program(folder, environment).output().expect("run")
}

/// Runs a program that must not start; hands back its exit code and what it said at last.
fn refused(folder: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run(folder, environment);
    let log = String::from_utf8(output.stdout).expect("UTF-8");
    let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["level"], "error");
    (output.status.code(), last["message"].as_str().expect("a message").to_owned())
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_wrong_environment_is_named() {
    let folder = folder();
    for (name, value, says) in [
        ("PORT", "70000", "a port"),
        ("SUTRA_EDITION", "gold", "simple, community or enterprise"),
        ("LOG_LEVEL", "loud", "debug"),
        ("DIMENSION", "0", "whole number"),
        ("MAX_BATCH", "-1", "whole number"),
    ] {
        let (code, message) = refused(folder.path(), &[(name, value)]);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains(&format!("{name}={value:?}")) && message.contains(says), "{message}");
    }
}

#[test]
fn a_dimension_that_is_configured_holds_from_the_start() {
    let folder = folder();
    let server = start(folder.path(), &[("DIMENSION", "2")]);
    assert_eq!(server.get("/v1/stats").1["dimension"], 2);
    let (status, _) = server.post("/v1/concepts", &json!({"concepts": [{"text": "a", "vector": [1]}]}));
    assert_eq!(status, 400);
    server.kill();
    let (code, message) = refused(folder.path(), &[("DIMENSION", "3")]);
    assert_eq!(code, Some(2));
    assert!(message.contains("DIMENSION=3") && message.contains("vectors of 2"), "{message}");
    start(folder.path(), &[]);
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = folder();
    let _server = start(folder.path(), &[]);
    let (code, message) = refused(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(message.contains("in use by another process"), "{message}");
}

#[test]
fn a_damaged_store_is_refused_and_left_as_it_is() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    server.post("/v1/concepts", &json!({"concepts": [{"id": "a", "text": "a"}]}));
    server.kill();
    let path = folder.path().join("concepts.redb");
    let whole = std::fs::read(&path).expect("read");
    let mut flipped = whole.clone();
    flipped[4096..].fill(0xA5);
    for damage in [b"not a store".repeat(1000), whole[..whole.len() / 3].to_vec(), flipped, Vec::new()] {
        std::fs::write(&path, &damage).expect("damage");
        let (code, message) = refused(folder.path(), &[]);
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("concepts.redb") && message.contains("backup"), "{message}");
    }
    std::fs::write(&path, &whole).expect("repair");
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("a"), ["a"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("write");
    let (code, message) = refused(&file, &[]);
    assert_eq!(code, Some(1));
    assert!(message.contains("cannot be written"), "{message}");
}

#[test]
fn the_health_check_tells_a_running_server_from_none() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    let check = || program(folder.path(), &[("PORT", &port)]).arg("healthcheck").output().expect("run");
    assert_eq!(check().status.code(), Some(0));
    server.kill();
    let output = check();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&port));
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    let output = program(Path::new("/nowhere"), &[]).arg("--serve").output().expect("run");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage"));
}

#[test]
fn a_signal_stops_it_and_what_was_kept_stays() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    server.post("/v1/concepts", &json!({"concepts": [{"id": "a", "text": "stays"}]}));
    // A connection without a request must not hold up the stop.
    let _idle = TcpStream::connect(&server.address).expect("connect");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let mut server = start(folder.path(), &[]);
    assert_eq!(server.find("stays"), ["a"]);

    // A request that never ends is cut.
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    stream.write_all(b"POST /v1/concepts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{").expect("write");
    server.terminate();
    server.wait_for("stopping");
    assert_eq!(server.wait().code(), Some(0));
}
