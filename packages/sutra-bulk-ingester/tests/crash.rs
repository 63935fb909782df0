//! SIGKILL during a job: no line is lost, and at most one batch per kill is taught twice.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;
use support::hybrid::{Hybrid, Reply};
use support::{CSV, JSONL, bad_lines, chunked, folder, jsonl, start, wait};

const BATCH: usize = 32;

#[test]
fn repeated_kills_lose_no_line() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let lines = 500;
    hybrid.pause();
    let mut server = start(folder.path(), &hybrid.url(), &[]);
    let text = |number: usize| match number % 50 {
        7 => "broken\"".to_owned(),
        8 => "\"two\nlines ".to_owned() + &number.to_string() + "\"",
        _ => format!("\"text {number}\""),
    };
    let rows: Vec<String> = (0..lines).map(text).collect();
    let id =
        server.upload_to("/v1/jobs?source=h%20b.csv", CSV, &format!("text\r\n{}\r\n", rows.join("\r\n")));
    let kills = 6;
    for kill in 0..kills {
        // Alternately kill it before a batch arrives at hybrid, and after that but before the response.
        if kill % 2 == 0 {
            hybrid.pause_after(kill);
            hybrid.wait_for_call();
        } else {
            let before = hybrid.learned().len();
            hybrid.set_behaviour(|_| Reply::LearnWithoutResponse);
            hybrid.pause_after(1);
            wait("a batch to arrive", || hybrid.learned().len() > before);
        }
        assert_eq!(server.job(&id)["state"], "running");
        server.kill();
        hybrid.set_behaviour(|_| Reply::HangUp);
        hybrid.resume();
        hybrid.wait_until_idle();
        hybrid.set_behaviour(|_| Reply::Learn);
        hybrid.pause();
        server = start(folder.path(), &hybrid.url(), &[]);
    }
    hybrid.resume();
    let job = server.wait_for(&id, "done");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(lines - 10), &json!(10)));
    assert_eq!(bad_lines(&job)[..3], [9, 60, 111]);
    assert_eq!(job["source"], "h b.csv");
    let learned = hybrid.learned();
    assert_eq!(learned.len(), lines - 10);
    assert!(learned.keys().all(|text| hybrid.sent(text).contains("\"source\":\"h b.csv\"")));
    assert!(
        (0..lines)
            .filter(|number| ![7, 8].contains(&(number % 50)))
            .all(|number| learned.contains_key(&format!("text {number}")))
    );
    let repeated: u32 = learned.values().map(|times| times - 1).sum();
    // In half of the rounds a batch had arrived.
    assert_eq!(repeated as usize, kills / 2 * BATCH, "{repeated} texts taught twice after {kills} kills");
}

#[test]
fn queued_and_cancelled_jobs_survive_but_incomplete_uploads_do_not() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.pause();
    let running = server.upload(JSONL, "\"running\"\n");
    hybrid.wait_for_call();
    let queued = server.upload(JSONL, "\"queued\"\n");
    let cancelled = server.upload(JSONL, "\"cancelled\"\n");
    assert_eq!(server.send("DELETE", &format!("/v1/jobs/{cancelled}"), "", b"").0, 200);
    // An upload that is incomplete at the time of the kill.
    let mut half = TcpStream::connect(&server.address).expect("connect");
    write!(half, "{}4\r\n\"h\"\n\r\n", chunked("/v1/jobs", JSONL)).expect("write");
    let incoming = || std::fs::read_dir(folder.path().join("incoming")).expect("list").count();
    wait("the start of the upload", || incoming() == 1);
    server.kill();
    assert_eq!(incoming(), 1);
    hybrid.resume();

    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(incoming(), 0);
    server.wait_for(&running, "done");
    server.wait_for(&queued, "done");
    assert_eq!(server.job(&cancelled)["state"], "cancelled");
    assert_eq!(server.get("/v1/jobs").1["jobs"].as_array().map(Vec::len), Some(3));
    assert!(!hybrid.learned().contains_key("cancelled") && !hybrid.learned().contains_key("h"));
}

#[test]
fn a_job_continues_after_sigterm_and_restart() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let id = server.upload(JSONL, &jsonl((0..100).map(|number| format!("text {number}"))));
    server.wait_for(&id, "done");
    hybrid.pause_after(1);
    let second = server.upload(JSONL, &jsonl((100..200).map(|number| format!("text {number}"))));
    hybrid.wait_for_call();
    // Neither a call without a response nor an incomplete upload delays shutdown.
    let mut half = TcpStream::connect(&server.address).expect("connect");
    write!(half, "{}4\r\n\"h\"\n\r\n", chunked("/v1/jobs", JSONL)).expect("write");
    assert_eq!(server.terminate().code(), Some(0));
    hybrid.resume();

    // Nor does a retry delay.
    hybrid.set_behaviour(|_| Reply::Respond(503, "Retry-After: 250\r\n", ""));
    let server = start(folder.path(), &hybrid.url(), &[]);
    server.wait_for(&second, "waiting");
    assert_eq!(server.terminate().code(), Some(0));

    hybrid.set_behaviour(|_| Reply::Learn);
    let server = start(folder.path(), &hybrid.url(), &[]);
    server.wait_for(&id, "done");
    assert_eq!(server.wait_for(&second, "done")["taught"], 100);
    assert_eq!(hybrid.learned().len(), 200);
}
