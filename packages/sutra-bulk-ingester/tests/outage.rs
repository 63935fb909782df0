//! Hybrid is away, slow, busy or broken: nothing is lost, and only lines that are to blame are blamed.
#![allow(clippy::expect_used, dead_code, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::json;
use support::hybrid::{Hybrid, Reply};
use support::{JSONL, bad_lines, folder, jsonl, start};

#[test]
fn an_outage_of_every_kind_is_waited_out() {
    let folder = folder();
    // A port at which nobody listens, as long as nobody does.
    let port = Hybrid::start().port;
    let url = format!("http://127.0.0.1:{port}");
    let server = start(folder.path(), &url, &[("HYBRID_TIMEOUT_SECONDS", "1")]);
    let id = server.upload(JSONL, &jsonl((0..100).map(|number| format!("text {number}"))));
    let job = server.wait_until(&id, |job| job["state"] == "waiting" && job["tries"].as_u64() > Some(3));
    let reason = job["reason"].as_str().expect("a reason");
    assert!(reason.contains("hybrid cannot be reached") && reason.contains("HYBRID_URL"), "{reason}");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(0), &json!(0)));
    assert_eq!(server.get("/health").0, 200);

    // Every call fails in another way, and now and then one succeeds.
    let mut call = 0;
    let hybrid = Hybrid::on(port, move |_| {
        call += 1;
        match call {
            1 => Reply::Say(503, "Retry-After: 0\r\n", ""),
            2 => Reply::HangUp,
            3 => Reply::Say(429, "", "{\"error\":{\"code\":\"busy\",\"message\":\"later\"}}"),
            5 => Reply::Say(502, "", "<html>"),
            6 => Reply::Silence,
            7 => Reply::Say(504, "Retry-After: soon\r\n", ""),
            9 => Reply::Say(500, "", ""),
            10 => Reply::Say(404, "", ""),
            11 => Reply::Say(200, "", "<html>welcome</html>"),
            12 => Reply::Say(302, "Location: /elsewhere\r\n", ""),
            13 => Reply::Say(200, "Content-Encoding: x\r\n", ""),
            _ => Reply::Learn,
        }
    });
    let job = server.wait_for(&id, "done");
    assert_eq!((&job["taught"], &job["bad"], &job["tries"]), (&json!(100), &json!(0), &json!(0)));
    let learned = hybrid.learned();
    assert_eq!((learned.len(), learned.values().max()), (100, Some(&1)));
    // Four batches, and eleven calls that failed.
    assert_eq!(hybrid.calls().len(), 15);
}

#[test]
fn a_poisoned_line_is_found_and_told_with_hybrids_words() {
    let is_poisoned = |texts: &[String]| texts.iter().any(|text| text.contains("poison"));
    for (status, says) in
        [(422, "422 unfit: no meaning"), (400, "400 unfit"), (413, "413 unfit"), (500, "500")]
    {
        let folder = folder();
        let hybrid = Hybrid::with(move |texts| match is_poisoned(texts) {
            true => Reply::Say(status, "", "{\"error\":{\"code\":\"unfit\",\"message\":\"no meaning\"}}"),
            false => Reply::Learn,
        });
        let server = start(folder.path(), &hybrid.url(), &[]);
        let text = |number: usize| match number {
            10 | 70 | 99 => format!("poison {number}"),
            _ => format!("text {number}"),
        };
        let job = server.teach(JSONL, &jsonl((0..100).map(text)));
        assert_eq!((bad_lines(&job), &job["taught"]), (vec![11, 71, 100], &json!(97)), "{status}");
        let reason = job["bad_lines"][0]["reason"].as_str().expect("a reason");
        assert!(reason.contains(says), "{reason}");
        let learned = hybrid.learned();
        assert_eq!(learned.len(), 97);
    }
}

#[test]
fn a_hybrid_that_refuses_all_of_a_sudden_is_not_believed() {
    let folder = folder();
    let hybrid = Hybrid::start();
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.shut_gate();
    let id = server.upload(JSONL, &jsonl((0..100).map(|number| format!("text {number}"))));
    hybrid.wait_for_call();
    let mut call = 0;
    hybrid.become_one(move |_| {
        call += 1;
        if call == 1 { Reply::Learn } else { Reply::Say(422, "", "") }
    });
    hybrid.open_gate();
    let job = server.wait_until(&id, |job| job["state"] == "waiting" && job["tries"].as_u64() > Some(0));
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("learned before")), "{job}");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(32), &json!(0)));
    hybrid.become_one(|_| Reply::Learn);
    let job = server.wait_for(&id, "done");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(100), &json!(0)));
}

#[test]
fn a_job_of_which_nothing_could_be_taught_has_failed() {
    let folder = folder();
    let hybrid = Hybrid::with(|_| Reply::Say(422, "", ""));
    let server = start(folder.path(), &hybrid.url(), &[]);
    let id = server.upload(JSONL, &jsonl((0..3).map(|number| format!("text {number}"))));
    let job = server.wait_for(&id, "failed");
    assert_eq!((bad_lines(&job), &job["taught"]), (vec![1, 2, 3], &json!(0)));
    // But there is nothing wrong with a file that holds nothing.
    assert_eq!(server.teach(JSONL, "\n\n")["lines_read"], 2);
}

#[test]
fn an_answer_without_end_is_not_read() {
    let folder = folder();
    let endless: &'static str = Box::leak(" ".repeat(5 << 20).into_boxed_str());
    let mut call = 0;
    let hybrid = Hybrid::with(move |_| {
        call += 1;
        if call == 1 { Reply::Say(200, "", endless) } else { Reply::Learn }
    });
    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(server.teach(JSONL, "\"a\"\n")["taught"], 1);
    assert_eq!(hybrid.calls().len(), 2);
}
