//! The page, its files and its health, as nginx serves them.
#![allow(clippy::expect_used, reason = "tests may panic")]

mod support;

use support::{PAGE, SCRIPT, Server, nowhere};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";

#[test]
fn paths_lead_to_files_the_page_or_errors() {
    let server = Server::start(nowhere());
    for (line, status, body, cache) in [
        ("GET /", 200, PAGE, "no-cache"),
        ("GET /topics?x=1", 200, PAGE, "no-cache"),
        ("GET /a/../b", 200, PAGE, "no-cache"),
        ("GET /%2e/assets//a.js", 200, SCRIPT, IMMUTABLE),
        ("GET /assets/a.js", 200, SCRIPT, IMMUTABLE),
        ("GET /favicon.svg", 200, "<svg/>", "no-cache"),
        ("GET /assets", 200, PAGE, "no-cache"),
        ("HEAD /assets/a.js", 200, "", IMMUTABLE),
        ("GET /assets/b.js", 404, "not_found", "no-store"),
        ("GET /assets/", 404, "not_found", "no-store"),
        ("GET /assets/a.js.gz", 404, "not_found", "no-store"),
        ("GET /health.json", 404, "not_found", "no-store"),
        ("GET /api", 404, "not_found", "no-store"),
        ("GET /..", 400, "bad_request", "no-store"),
        ("GET /..%2f..%2fetc/passwd", 400, "bad_request", "no-store"),
        ("GET /%00", 400, "bad_request", "no-store"),
        ("POST /", 405, "method_not_allowed", "no-store"),
        ("OPTIONS /health", 405, "method_not_allowed", "no-store"),
        ("TRACE /api/x", 405, "method_not_allowed", "no-store"),
        ("POST /b.js", 404, "not_found", "no-store"),
    ] {
        let answer = server.send(line, &[], "");
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert_eq!(answer.header("cache-control"), cache, "{line}");
        let found = if status < 400 { answer.text() } else { answer.code() };
        assert_eq!(found, body, "{line}");
        assert_eq!(answer.header("allow"), if status == 405 { "GET, HEAD" } else { "" }, "{line}");
        for name in
            ["x-content-type-options", "content-security-policy", "x-request-id", "permissions-policy"]
        {
            assert!(!answer.header(name).is_empty(), "{line}: no {name}");
        }
    }
    let length = server.send("HEAD /assets/a.js", &[], "").header("content-length");
    assert_eq!(length, SCRIPT.len().to_string());
}

#[test]
fn the_health_is_a_file() {
    let server = Server::start(nowhere());
    let answer = server.get("/health");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!((answer.status, &body["status"], &body["service"]), (200, &"ok".into(), &"client".into()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("etag"), "");
    let (_, log) = server.stop("TERM");
    assert!(!log.iter().any(|line| line["message"] == "GET /health"), "{log:?}");
}

#[test]
fn files_are_compressed_revalidated_and_cut() {
    let server = Server::start(nowhere());
    let get = |path: &str, header: &str| server.send(&format!("GET {path}"), &[header], "");
    let plain = server.get("/assets/a.js");
    let tag = plain.header("etag");
    assert_eq!(plain.header("content-type"), "application/javascript; charset=utf-8");
    assert_eq!(
        (plain.header("vary").as_str(), plain.header("accept-ranges").as_str()),
        ("Accept-Encoding", "bytes")
    );
    let compressed = get("/assets/a.js", "Accept-Encoding: br, gzip");
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert_eq!(compressed.text(), "not really gzip");
    assert_ne!(compressed.header("etag"), tag);
    assert_eq!(server.get("/favicon.svg").header("vary"), "");
    // Version 1.0 gets the plain file.
    let old = server.raw(b"GET /assets/a.js HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200") && old.ends_with(SCRIPT), "{old}");

    let unchanged = get("/assets/a.js", &format!("If-None-Match: {tag}"));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), tag);
    assert_eq!(unchanged.header("cache-control"), IMMUTABLE);
    let unchanged = server.send("HEAD /assets/a.js", &[&format!("If-None-Match: {tag}")], "");
    assert_eq!((unchanged.status, unchanged.header("content-length")), (304, SCRIPT.len().to_string()));
    // All builds of the page have the same time and length.
    let date = server.get("/").header("last-modified");
    assert_eq!(get("/", &format!("If-Modified-Since: {date}")).status, 200);

    let part = get("/assets/a.js", "Range: bytes=2-4");
    assert_eq!((part.status, part.text().as_str()), (206, &SCRIPT[2..5]));
    assert_eq!(part.header("content-range"), format!("bytes 2-4/{}", SCRIPT.len()));
    let beyond = get("/assets/a.js", "Range: bytes=9999-");
    assert_eq!((beyond.status, beyond.code().as_str()), (416, "range_not_satisfiable"));
    assert_eq!(beyond.header("cache-control"), "no-store");
}

#[test]
fn request_ids_are_kept_or_made() {
    let server = Server::start(nowhere());
    let id = |header: &str| server.send("GET /", &[header], "").header("x-request-id");
    assert_eq!(id("X-Request-Id: a.B_c-1"), "a.B_c-1");
    for header in ["X-Request-Id: a b", "X-Request-Id: a\r\nX-Request-Id: b", "X-Other: 1"] {
        let made = id(header);
        assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    }
    let (code, log) = server.stop("QUIT");
    let line = log.iter().find(|line| line["request_id"] == "a.B_c-1").expect("a line");
    assert_eq!(line["message"], "GET /index.html");
    assert_eq!(
        (&line["status"], &line["level"], &line["client"]),
        (&200.into(), &"info".into(), &"127.0.0.1".into())
    );
    assert_eq!(line["bytes"], PAGE.len());
    assert_eq!(code, Some(0));
}

#[test]
fn invalid_settings_are_refused() {
    let folder = support::site();
    let folder = folder.path().to_str().expect("UTF-8");
    for (arguments, environment, code, expected) in [
        (&[folder][..], &[("LOG_LEVEL", "loud")][..], 2, "LOG_LEVEL"),
        (&[folder], &[("PORT", "x")], 2, "PORT"),
        (&[folder], &[("RESOLVER", "a b")], 2, "RESOLVER"),
        (&["/nowhere"], &[], 1, "/nowhere"),
        (&[], &[], 2, "usage"),
        (&["healthcheck"], &[("HOST", "127.0.0.1"), ("PORT", "1")], 1, "127.0.0.1:1"),
    ] {
        let output = support::command(arguments, environment).output().expect("run");
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_health_check_asks_the_server() {
    let server = Server::start(nowhere());
    let port = server.address.port().to_string();
    for host in ["127.0.0.1", "0.0.0.0"] {
        // Only the address matters to it.
        let environment = [("HOST", host), ("PORT", &port), ("RESOLVER", "a b"), ("LOG_LEVEL", "loud")];
        let output = support::command(&["healthcheck"], &environment).output();
        assert_eq!(output.expect("run").status.code(), Some(0), "{host}");
    }
}
