//! Request ids and metrics of the real program.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use support::hybrid::{Hybrid, Reply};
use support::{JSONL, Server, folder, jsonl, start};

/// All metrics.
fn scrape(server: &Server) -> String {
    let messages = server.messages.lock().expect("messages");
    let port = messages.iter().find_map(|message| message.strip_prefix("metrics at port "));
    let mut stream = TcpStream::connect(format!("127.0.0.1:{}", port.expect("a port"))).expect("connect");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

/// The sample with this name and these labels.
fn sample(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().expect("a number"))
}

#[test]
fn calls_to_hybrid_carry_the_job_and_a_number() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[("MAX_BATCH_TEXTS", "2")]);
    let mut expected = Vec::new();
    for _ in 0..2 {
        let id = server.upload(JSONL, &jsonl((0..5).map(|number| number.to_string())));
        server.wait_for(&id, "done");
        expected.extend((1..=3).map(|call| format!("{id}-{call}")));
    }
    assert_eq!(hybrid.request_ids(), expected);
}

#[test]
fn jobs_lines_and_calls_are_counted() {
    let mut calls = 0;
    let hybrid = Hybrid::with(move |_| {
        calls += 1;
        match calls {
            1 => Reply::Respond(503, "", ""),
            2 => Reply::Respond(500, "", ""),
            3 => Reply::HangUp,
            _ => Reply::Learn,
        }
    });
    let folder = folder();
    let server = start(folder.path(), &hybrid.url(), &[("METRICS_PORT", "0")]);
    let nothing = scrape(&server);
    for name in [r#"sutra_ingester_jobs{state="done"}"#, r#"sutra_ingester_lines_total{result="learned"}"#] {
        assert_eq!(sample(&nothing, name), Some(0.0), "{name}\n{nothing}");
    }
    server.teach(JSONL, &format!("{}[1]\n{{}}\n", jsonl((0..5).map(|number| number.to_string()))));
    hybrid.pause();
    let held = server.upload(JSONL, &jsonl(["a".to_owned()]));
    server.upload(JSONL, &jsonl(["b".to_owned()]));
    hybrid.wait_for_call();
    server.wait_for(&held, "running");
    let text = scrape(&server);
    for (name, expected) in [
        (r#"sutra_ingester_jobs{state="done"}"#, 1.0),
        (r#"sutra_ingester_jobs{state="running"}"#, 1.0),
        (r#"sutra_ingester_jobs{state="queued"}"#, 1.0),
        (r#"sutra_ingester_jobs{state="waiting"}"#, 0.0),
        (r#"sutra_ingester_lines_total{result="learned"}"#, 5.0),
        (r#"sutra_ingester_lines_total{result="bad"}"#, 2.0),
        (r#"sutra_dependency_seconds_count{dependency="hybrid"}"#, 4.0),
        (r#"sutra_dependency_errors_total{dependency="hybrid",code="hybrid_not_ready"}"#, 1.0),
        (r#"sutra_dependency_errors_total{dependency="hybrid",code="hybrid_failed"}"#, 1.0),
        (r#"sutra_dependency_errors_total{dependency="hybrid",code="hybrid_unreachable"}"#, 1.0),
        (r#"sutra_http_requests_total{method="POST",route="/v1/jobs",status="202"}"#, 3.0),
        (r#"sutra_build_info{service="bulk-ingester",version="0.0.0",edition="simple"}"#, 1.0),
    ] {
        assert_eq!(sample(&text, name), Some(expected), "{name}\n{text}");
    }
    hybrid.resume();
}
