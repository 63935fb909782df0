//! Startup, startup errors, health check and shutdown.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

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

/// Runs the program, which must fail to start. Returns its exit code and its last log message.
fn start_error(folder: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
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
fn an_invalid_variable_is_named() {
    let folder = folder();
    for (name, value, expected) in [
        ("PORT", "70000", "a port"),
        ("SUTRA_EDITION", "gold", "simple, community or enterprise"),
        ("LOG_LEVEL", "loud", "debug"),
        ("DIMENSION", "0", "whole number"),
        ("MAX_BATCH", "-1", "whole number"),
    ] {
        let (code, message) = start_error(folder.path(), &[(name, value)]);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains(&format!("{name}={value:?}")) && message.contains(expected), "{message}");
    }
}

#[test]
fn a_configured_dimension_applies_from_the_start() {
    let folder = folder();
    let server = start(folder.path(), &[("DIMENSION", "2")]);
    assert_eq!(server.get("/v1/stats").1["dimension"], 2);
    let (status, _) = server.post("/v1/concepts", &json!({"concepts": [{"text": "a", "vector": [1]}]}));
    assert_eq!(status, 400);
    server.kill();
    let (code, message) = start_error(folder.path(), &[("DIMENSION", "3")]);
    assert_eq!(code, Some(2));
    assert!(message.contains("DIMENSION=3") && message.contains("vectors of 2 numbers"), "{message}");
    start(folder.path(), &[]);
}

#[test]
fn a_folder_in_use_is_an_error() {
    let folder = folder();
    let _server = start(folder.path(), &[]);
    let (code, message) = start_error(folder.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(message.contains("in use by another process"), "{message}");
}

#[test]
fn a_damaged_store_is_reported_and_left_unchanged() {
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
        let (code, message) = start_error(folder.path(), &[]);
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("concepts.redb") && message.contains("backup"), "{message}");
    }
    std::fs::write(&path, &whole).expect("repair");
    let server = start(folder.path(), &[]);
    assert_eq!(server.find("a"), ["a"]);
}

#[test]
fn an_unwritable_folder_is_reported() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("write");
    let (code, message) = start_error(&file, &[]);
    assert_eq!(code, Some(1));
    assert!(message.contains("cannot write to DATA_DIR"), "{message}");
}

#[test]
fn the_health_check_fails_without_a_server() {
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
fn unknown_arguments_are_rejected() {
    let output = program(Path::new("/nowhere"), &[]).arg("--serve").output().expect("run");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage"));
}

#[test]
fn sigterm_stops_the_server_and_keeps_the_data() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    server.post("/v1/concepts", &json!({"concepts": [{"id": "a", "text": "stored"}]}));
    // An idle connection must not delay shutdown.
    let _idle = TcpStream::connect(&server.address).expect("connect");
    server.terminate();
    assert_eq!(server.wait().code(), Some(0));
    let mut server = start(folder.path(), &[]);
    assert_eq!(server.find("stored"), ["a"]);

    // A request that never completes is aborted.
    let mut stream = TcpStream::connect(&server.address).expect("connect");
    stream.write_all(b"POST /v1/concepts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{").expect("write");
    server.terminate();
    server.wait_for("stopping");
    assert_eq!(server.wait().code(), Some(0));
}
