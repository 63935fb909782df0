//! Hybrid is down, slow, busy or broken: nothing is lost, and only invalid lines are reported.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use serde_json::json;
use support::hybrid::{Hybrid, Reply};
use support::{JSONL, bad_lines, folder, jsonl, start};

#[test]
fn every_kind_of_outage_is_retried() {
    let folder = folder();
    // A free port: hybrid is down at first.
    let port = Hybrid::start().port;
    let url = format!("http://127.0.0.1:{port}");
    let server = start(folder.path(), &url, &[("HYBRID_TIMEOUT_SECONDS", "1")]);
    let id = server.upload(JSONL, &jsonl((0..100).map(|number| format!("text {number}"))));
    let job = server.wait_until(&id, |job| job["state"] == "waiting" && job["tries"].as_u64() > Some(3));
    let reason = job["reason"].as_str().expect("a reason");
    assert!(reason.contains("cannot reach hybrid") && reason.contains("HYBRID_URL"), "{reason}");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(0), &json!(0)));
    assert_eq!(server.get("/health").0, 200);

    // Most calls fail, each in another way.
    let mut call = 0;
    let hybrid = Hybrid::on(port, move |_| {
        call += 1;
        match call {
            1 => Reply::Respond(503, "Retry-After: 0\r\n", ""),
            2 => Reply::HangUp,
            3 => Reply::Respond(429, "", "{\"error\":{\"code\":\"busy\",\"message\":\"later\"}}"),
            5 => Reply::Respond(502, "", "<html>"),
            6 => Reply::NoResponse,
            7 => Reply::Respond(504, "Retry-After: soon\r\n", ""),
            9 => Reply::Respond(500, "", ""),
            10 => Reply::Respond(404, "", ""),
            11 => Reply::Respond(200, "", "<html>welcome</html>"),
            12 => Reply::Respond(302, "Location: /elsewhere\r\n", ""),
            13 => Reply::Respond(200, "Content-Encoding: x\r\n", ""),
            _ => Reply::Learn,
        }
    });
    let job = server.wait_for(&id, "done");
    assert_eq!((&job["taught"], &job["bad"], &job["tries"]), (&json!(100), &json!(0), &json!(0)));
    let learned = hybrid.learned();
    assert_eq!((learned.len(), learned.values().max()), (100, Some(&1)));
    // Eleven failed calls and nine others: after the one without a response, there are fewer texts per call.
    assert_eq!(hybrid.calls().len(), 20);
}

#[test]
fn hybrid_gets_fewer_texts_if_it_is_too_slow_for_many() {
    let folder = folder();
    let hybrid = Hybrid::with(|texts| if texts.len() > 10 { Reply::NoResponse } else { Reply::Learn });
    let server = start(folder.path(), &hybrid.url(), &[("HYBRID_TIMEOUT_SECONDS", "1")]);
    let job = server.teach(JSONL, &jsonl((0..32).map(|number| format!("text {number}"))));
    assert_eq!((&job["taught"], &job["bad"]), (&json!(32), &json!(0)));
    assert_eq!(hybrid.calls()[..3], [32, 16, 8]);
    assert_eq!(hybrid.learned().values().max(), Some(&1));
}

#[test]
fn bad_lines_are_found_and_reported_with_the_error_of_hybrid() {
    let has_bad_text = |texts: &[String]| texts.iter().any(|text| text.contains("bad"));
    for (status, expected) in
        [(422, "422 unfit: no meaning"), (400, "400 unfit"), (413, "413 unfit"), (500, "500")]
    {
        let folder = folder();
        let hybrid = Hybrid::with(move |texts| match has_bad_text(texts) {
            true => Reply::Respond(status, "", "{\"error\":{\"code\":\"unfit\",\"message\":\"no meaning\"}}"),
            false => Reply::Learn,
        });
        let server = start(folder.path(), &hybrid.url(), &[]);
        let text = |number: usize| match number {
            10 | 70 | 99 => format!("bad {number}"),
            _ => format!("text {number}"),
        };
        let job = server.teach(JSONL, &jsonl((0..100).map(text)));
        assert_eq!((bad_lines(&job), &job["taught"]), (vec![11, 71, 100], &json!(97)), "{status}");
        let reason = job["bad_lines"][0]["reason"].as_str().expect("a reason");
        assert!(reason.contains(expected), "{reason}");
        let learned = hybrid.learned();
        assert_eq!(learned.len(), 97);
    }
}

#[test]
fn no_line_is_bad_if_hybrid_suddenly_rejects_everything() {
    let folder = folder();
    let hybrid = Hybrid::start();
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.pause();
    let id = server.upload(JSONL, &jsonl((0..100).map(|number| format!("text {number}"))));
    hybrid.wait_for_call();
    let mut call = 0;
    hybrid.set_behaviour(move |_| {
        call += 1;
        if call == 1 { Reply::Learn } else { Reply::Respond(422, "", "") }
    });
    hybrid.resume();
    let job = server.wait_until(&id, |job| job["state"] == "waiting" && job["tries"].as_u64() > Some(0));
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("previously learned text")), "{job}");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(32), &json!(0)));
    hybrid.set_behaviour(|_| Reply::Learn);
    let job = server.wait_for(&id, "done");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(100), &json!(0)));
}

#[test]
fn a_job_without_any_valid_line_fails() {
    let folder = folder();
    let hybrid = Hybrid::with(|_| Reply::Respond(422, "", ""));
    let server = start(folder.path(), &hybrid.url(), &[]);
    let id = server.upload(JSONL, &jsonl((0..3).map(|number| format!("text {number}"))));
    let job = server.wait_for(&id, "failed");
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![1, 2, 3], &json!(0)));
    // A file with blank lines only is not an error.
    assert_eq!(server.teach(JSONL, "\n\n")["lines_read"], 2);
}

#[test]
fn an_oversized_response_is_not_read() {
    let folder = folder();
    let huge: &'static str = Box::leak(" ".repeat(5 << 20).into_boxed_str());
    let mut call = 0;
    let hybrid = Hybrid::with(move |_| {
        call += 1;
        if call == 1 { Reply::Respond(200, "", huge) } else { Reply::Learn }
    });
    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(server.teach(JSONL, "\"a\"\n")["taught"], 1);
    assert_eq!(hybrid.calls().len(), 2);
}
