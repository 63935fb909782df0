//! Request ids and metrics of the real program.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::{Server, program, start};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The address of the metrics.
fn metrics_address(server: &Server) -> String {
    let port = server.messages.iter().find_map(|message| message.strip_prefix("metrics at port "));
    format!("127.0.0.1:{}", port.expect("the port of the metrics"))
}

/// Status, head and body of a response.
fn ask(address: &str, head: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).expect("connect");
    let length = body.len();
    let request = format!("{head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), body.to_owned())
}

fn get(address: &str, path: &str) -> (u16, String, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: localhost"), "")
}

/// The sample with this name and these labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}

fn id_in(head: &str) -> Option<&str> {
    let mut ids = head.lines().filter_map(|line| line.strip_prefix("x-request-id: "));
    let first = ids.next();
    assert_eq!(ids.next(), None, "{head}");
    first
}

#[test]
fn the_numbers_of_the_store_and_its_requests() {
    let folder = folder();
    let environment =
        [("METRICS_PORT", "0"), ("SUTRA_EDITION", "community"), ("SUTRA_SERVICE_VERSION", "1.2.3")];
    let server = start(folder.path(), &environment);
    let address = metrics_address(&server);
    let concepts =
        json!({"concepts": [{"id": "a", "text": "a", "vector": [1.0, 0.0]}, {"id": "b", "text": "b"}]});
    assert_eq!(server.post("/v1/concepts", &concepts).0, 200);
    for path in ["/v1/concepts/a", "/v1/concepts/b", "/v1/concepts/c", "/nowhere", "/health"] {
        server.get(path);
    }
    server.send("PUT", "/v1/concepts/a", None);
    assert_eq!(ask(&server.address, "BREW /v1/stats HTTP/1.1\r\nHost: localhost", "").0, 405);
    let (status, head, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    assert!(head.contains("text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let stats = server.get("/v1/stats").1;
    for (name, expected) in [
        ("sutra_storage_concepts", 2.0),
        ("sutra_storage_vectors", 1.0),
        ("sutra_storage_vector_bytes", stats["vector_bytes"].as_f64().expect("a number")),
        ("sutra_storage_vector_bytes_limit", stats["vector_bytes_limit"].as_f64().expect("a number")),
        (r#"sutra_http_requests_total{method="POST",route="/v1/concepts",status="200"}"#, 1.0),
        (r#"sutra_http_requests_total{method="GET",route="/v1/concepts/{id}",status="200"}"#, 2.0),
        (r#"sutra_http_requests_total{method="GET",route="/v1/concepts/{id}",status="404"}"#, 1.0),
        (r#"sutra_http_requests_total{method="PUT",route="/v1/concepts/{id}",status="405"}"#, 1.0),
        (r#"sutra_http_requests_total{method="other",route="/v1/stats",status="405"}"#, 1.0),
        (r#"sutra_http_requests_total{method="GET",route="other",status="404"}"#, 1.0),
        (r#"sutra_http_requests_total{method="GET",route="/health",status="200"}"#, 1.0),
        (r#"sutra_http_request_seconds_count{route="/v1/concepts/{id}"}"#, 4.0),
        (r#"sutra_http_request_seconds_bucket{route="/health",le="30"}"#, 1.0),
        (r#"sutra_http_request_seconds_bucket{route="/v1/concepts/{id}",le="+Inf"}"#, 4.0),
        ("sutra_http_requests_in_progress", 0.0),
        (r#"sutra_build_info{service="storage",version="1.2.3",edition="community"}"#, 1.0),
    ] {
        assert_eq!(sample(&text, name), Some(expected), "{name}\n{text}");
    }
    let memory = sample(&text, "process_resident_memory_bytes").expect("the memory");
    assert!((1e6..1e10).contains(&memory), "{memory}");
    assert!(sample(&text, "process_open_fds").is_some_and(|files| files > 3.0), "{text}");
    assert!(sample(&text, "process_cpu_seconds_total").is_some_and(|seconds| seconds >= 0.0), "{text}");
    let started = sample(&text, "process_start_time_seconds").expect("the start");
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the time").as_secs_f64();
    assert!((now - 3600.0..now).contains(&started), "{started}");
}

#[test]
fn the_port_of_the_metrics_has_nothing_else() {
    let folder = folder();
    let server = start(folder.path(), &[("METRICS_PORT", "0")]);
    let address = metrics_address(&server);
    for (method, path, host, expected) in [
        ("GET", "/metrics", "storage-server:9464", 200),
        ("HEAD", "/metrics", "localhost", 200),
        ("POST", "/metrics", "localhost", 405),
        ("GET", "/health", "localhost", 404),
        ("GET", "/v1/stats", "localhost", 404),
        ("GET", "/metrics", "rebind.example", 421),
    ] {
        let (status, head, _) = ask(&address, &format!("{method} {path} HTTP/1.1\r\nHost: {host}"), "");
        assert_eq!(status, expected, "{method} {path} {host}");
        assert!(id_in(&head).is_some(), "{head}");
    }
    assert_eq!(server.get("/metrics").0, 404);
}

#[test]
fn half_open_connections_of_both_ports_count_together() {
    let folder = folder();
    let server = start(folder.path(), &[("METRICS_PORT", "0")]);
    let address = metrics_address(&server);
    let half_open = |address: &str| {
        let mut stream = TcpStream::connect(address).expect("connect");
        stream.write_all(b"GET /metrics HTTP/1.1\r\n").expect("send");
        stream
    };
    let _open: Vec<_> = (0..350).map(|_| (half_open(&address), half_open(&server.address))).collect();
    assert_eq!(server.get("/v1/stats").0, 200);
    let (status, _, text) = get(&address, "/metrics");
    // 512 connections, and the files of the store.
    let files = sample(&text, "process_open_fds").expect("the open files");
    assert!(status == 200 && files < 600.0, "{files}");
}

#[test]
fn an_idle_scraper_does_not_delay_shutdown() {
    let folder = folder();
    let mut server = start(folder.path(), &[("METRICS_PORT", "0")]);
    let mut scraper = TcpStream::connect(metrics_address(&server)).expect("connect");
    scraper.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("send");
    scraper.read_exact(&mut [0; 15]).expect("an answer");
    server.terminate();
    server.wait_for("stopped");
    assert!(!server.messages.iter().any(|message| message.contains("aborting")), "{:?}", server.messages);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn an_invalid_port_is_refused() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let taken = taken.local_addr().expect("an address").port().to_string();
    for (value, port, code) in [("x", "0", 2), ("65536", "0", 2), ("9000", "9000", 2), (&taken, "0", 1)] {
        let mut command = program(folder.path(), &[("METRICS_PORT", value), ("PORT", port)]);
        let output = command.output().expect("run");
        let log = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{value}: {log}");
        assert!(log.contains("METRICS_PORT"), "{log}");
    }
}

#[test]
fn every_answer_and_log_line_has_the_request_id() {
    let folder = folder();
    let mut server = start(folder.path(), &[]);
    assert!(!server.messages.iter().any(|message| message.contains("metrics")));
    for (line, host, expected) in [
        ("GET /v1/stats", "localhost", 200),
        ("GET /nowhere", "localhost", 404),
        ("PUT /v1/stats", "localhost", 405),
        ("POST /v1/search", "localhost", 415),
        ("GET /v1/stats", "rebind.example", 421),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: {host}");
        let (status, head, _) = ask(&server.address, &format!("{request}\r\nX-Request-Id: a.B_c-1"), "");
        assert_eq!((status, id_in(&head)), (expected, Some("a.B_c-1")), "{line}");
        assert_eq!(server.wait_for("request")["request_id"], "a.B_c-1");
        let (_, head, _) = ask(&server.address, &format!("{request}\r\nX-Request-Id: a b"), "");
        let id = id_in(&head).expect("an id").to_owned();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(server.wait_for("request")["request_id"], Value::from(id));
    }
    let large = format!("{{\"text\":\"{}\"}}", "a".repeat(9_000_000));
    let head =
        "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Request-Id: big";
    let (status, head, _) = ask(&server.address, head, &large);
    assert_eq!((status, id_in(&head)), (413, Some("big")));
}
