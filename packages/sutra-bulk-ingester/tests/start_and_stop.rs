//! Startup, startup errors, health check and shutdown.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;
use support::hybrid::Hybrid;
use support::{folder, program, start};

#[test]
fn an_invalid_variable_is_named() {
    let folder = folder();
    for (name, value, expected) in [
        ("PORT", "70000", "a port"),
        ("SUTRA_EDITION", "gold", "simple, community or enterprise"),
        ("MAX_UPLOAD_BYTES", "0", "whole number"),
        ("MAX_BATCH_TEXTS", "-1", "whole number"),
        ("HYBRID_TIMEOUT_SECONDS", "1.5", "whole number"),
        ("HYBRID_URL", "https://sutra-hybrid:8001", "no TLS"),
        ("HYBRID_URL", "sutra-hybrid:8001", "http://HOST:PORT"),
    ] {
        let output = program(folder.path(), &[(name, value)]).output().expect("run");
        let log = String::from_utf8(output.stdout).expect("UTF-8");
        let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
        let message = last["message"].as_str().expect("a message");
        assert_eq!((output.status.code(), &last["level"]), (Some(2), &"error".into()), "{message}");
        assert!(message.contains(&format!("{name}={value:?}")) && message.contains(expected), "{message}");
    }
}

#[test]
fn a_password_in_a_url_is_not_logged() {
    let folder = folder();
    let output = program(folder.path(), &[("HYBRID_URL", "http://me:hidden@hybrid")]).output().expect("run");
    assert_eq!(output.status.code(), Some(2));
    let log = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(log.contains("user name") && !log.contains("hidden"), "{log}");
}

#[test]
fn the_health_check_fails_without_a_server() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    let check = || program(folder.path(), &[("PORT", &port)]).arg("healthcheck").output().expect("run");
    assert_eq!(check().status.code(), Some(0));
    server.kill();
    assert_eq!(check().status.code(), Some(1));
}

#[test]
fn unknown_arguments_are_rejected() {
    let output = program(Path::new("/nowhere"), &[]).arg("--serve").output().expect("run");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn an_idle_connection_does_not_delay_shutdown() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let _idle = TcpStream::connect(&server.address).expect("connect");
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_service_that_is_not_ready_can_be_stopped() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let path = folder.path().join("data");
    std::fs::write(&path, "a file").expect("write");
    let server = start(&path, &hybrid.url(), &[]);
    assert_eq!(server.terminate().code(), Some(0));
}
