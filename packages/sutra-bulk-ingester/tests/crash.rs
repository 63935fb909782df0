//! What survives a SIGKILL in the middle of a job: every line, and no more than one batch is taught twice.
#![allow(clippy::expect_used, dead_code, reason = "a test that cannot go on has failed")]

mod support;

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;
use support::hybrid::{Hybrid, Reply};
use support::{CSV, JSONL, bad_lines, chunked, folder, jsonl, start, wait};

const BATCH: usize = 32;

#[test]
fn no_line_is_lost_however_often_it_is_killed() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let lines = 500;
    hybrid.shut_gate();
    let mut server = start(folder.path(), &hybrid.url(), &[]);
    let text = |number: usize| match number % 50 {
        7 => "broken\"".to_owned(),
        8 => "\"two\nlines ".to_owned() + &number.to_string() + "\"",
        _ => format!("\"text {number}\""),
    };
    let rows: Vec<String> = (0..lines).map(text).collect();
    let id = server.upload(CSV, &format!("text\r\n{}\r\n", rows.join("\r\n")));
    let kills = 6;
    for kill in 0..kills {
        // By turns it ends before a batch has arrived at hybrid, and before it hears that one has.
        if kill % 2 == 0 {
            hybrid.let_through(kill);
            hybrid.wait_for_call();
        } else {
            let before = hybrid.learned().len();
            hybrid.become_one(|_| Reply::LearnInSilence);
            hybrid.let_through(1);
            wait("a batch has arrived", || hybrid.learned().len() > before);
        }
        assert_eq!(server.job(&id)["state"], "running");
        server.kill();
        hybrid.become_one(|_| Reply::HangUp);
        hybrid.open_gate();
        hybrid.settle();
        hybrid.become_one(|_| Reply::Learn);
        hybrid.shut_gate();
        server = start(folder.path(), &hybrid.url(), &[]);
    }
    hybrid.open_gate();
    let job = server.wait_for(&id, "done");
    assert_eq!((&job["taught"], &job["bad"]), (&json!(lines - 10), &json!(10)));
    assert_eq!(bad_lines(&job)[..3], [9, 60, 111]);
    let learned = hybrid.learned();
    assert_eq!(learned.len(), lines - 10);
    assert!(
        (0..lines)
            .filter(|number| ![7, 8].contains(&(number % 50)))
            .all(|number| learned.contains_key(&format!("text {number}")))
    );
    let again: u32 = learned.values().map(|times| times - 1).sum();
    // Three times a batch had arrived.
    assert_eq!(again as usize, kills / 2 * BATCH, "{again} texts taught again after {kills} kills");
}

#[test]
fn queued_jobs_and_upload_states_survive() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.shut_gate();
    let running = server.upload(JSONL, "\"running\"\n");
    hybrid.wait_for_call();
    let queued = server.upload(JSONL, "\"queued\"\n");
    let cancelled = server.upload(JSONL, "\"cancelled\"\n");
    assert_eq!(server.ask("DELETE", &format!("/v1/jobs/{cancelled}"), "", b"").0, 200);
    // One more that is not whole when the end comes.
    let mut half = TcpStream::connect(&server.address).expect("connect");
    write!(half, "{}4\r\n\"h\"\n\r\n", chunked("/v1/jobs", JSONL)).expect("write");
    let incoming = || std::fs::read_dir(folder.path().join("incoming")).expect("list").count();
    wait("the upload begins", || incoming() == 1);
    server.kill();
    assert_eq!(incoming(), 1);
    hybrid.open_gate();

    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(incoming(), 0);
    server.wait_for(&running, "done");
    server.wait_for(&queued, "done");
    assert_eq!(server.job(&cancelled)["state"], "cancelled");
    assert_eq!(server.get("/v1/jobs").1["jobs"].as_array().map(Vec::len), Some(3));
    assert!(!hybrid.learned().contains_key("cancelled") && !hybrid.learned().contains_key("h"));
}

#[test]
fn a_signal_stops_it_in_the_middle_and_it_goes_on_later() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    let id = server.upload(JSONL, &jsonl((0..100).map(|number| format!("text {number}"))));
    server.wait_for(&id, "done");
    hybrid.let_through(1);
    let second = server.upload(JSONL, &jsonl((100..200).map(|number| format!("text {number}"))));
    hybrid.wait_for_call();
    // Hybrid does not answer, and an upload does not end: neither holds up the stop.
    let mut half = TcpStream::connect(&server.address).expect("connect");
    write!(half, "{}4\r\n\"h\"\n\r\n", chunked("/v1/jobs", JSONL)).expect("write");
    assert_eq!(server.terminate().code(), Some(0));
    hybrid.open_gate();

    // Nor does a pause between tries.
    hybrid.become_one(|_| Reply::Say(503, "Retry-After: 250\r\n", ""));
    let server = start(folder.path(), &hybrid.url(), &[]);
    server.wait_for(&second, "waiting");
    assert_eq!(server.terminate().code(), Some(0));

    hybrid.become_one(|_| Reply::Learn);
    let server = start(folder.path(), &hybrid.url(), &[]);
    server.wait_for(&id, "done");
    assert_eq!(server.wait_for(&second, "done")["taught"], 100);
    assert_eq!(hybrid.learned().len(), 200);
}
