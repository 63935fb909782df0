//! A data folder that is missing, full, damaged or in use.
#![allow(clippy::expect_used, dead_code, reason = "a test that cannot go on has failed")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::hybrid::Hybrid;
use support::{JSONL, clean, folder, jsonl, run, start, wait};

fn reason(body: &Value) -> &str {
    body["reason"].as_str().unwrap_or_default()
}

#[test]
fn a_folder_that_cannot_be_written_is_told_and_waited_for() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let place = folder.path().join("data");
    std::fs::write(&place, "a file").expect("write");
    let server = start(&place, &hybrid.url(), &[]);
    let (status, body) = server.get("/health");
    assert_eq!((status, &body["status"]), (503, &json!("failed")));
    assert!(
        reason(&body).contains("cannot be written") && reason(&body).contains("mount a volume"),
        "{body}"
    );
    for (method, path) in
        [("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", "/v1/jobs/1"), ("DELETE", "/v1/jobs/1")]
    {
        let (status, body) = server.ask(method, path, JSONL, b"\"a\"\n");
        assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")), "{method} {path}");
    }
    std::fs::remove_file(&place).expect("remove");
    wait("it is ready", || server.get("/health").0 == 200);
    server.teach(JSONL, "\"a\"\n");
}

#[test]
fn a_folder_in_use_is_left_alone_until_it_is_free() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let first = start(folder.path(), &hybrid.url(), &[]);
    let second = start(folder.path(), &hybrid.url(), &[]);
    let (status, body) = second.get("/health");
    assert_eq!(status, 503);
    assert!(reason(&body).contains("in use by another process"), "{body}");
    let id = first.upload(JSONL, "\"a\"\n");
    first.wait_for(&id, "done");
    first.kill();
    wait("it is ready", || second.get("/health").0 == 200);
    assert_eq!(second.job(&id)["state"], "done");
}

/// A limit on the size of files stands for a disk that is full: both fail a write half-way.
#[test]
fn an_upload_that_does_not_fit_is_refused_and_leaves_nothing_behind() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    // The signal that comes with the limit must not end the program; a full disk sends none.
    let script = format!("trap '' XFSZ; ulimit -f 512; exec {}", env!("CARGO_BIN_EXE_sutra-bulk-ingester"));
    let mut command = Command::new("sh");
    clean(command.args(["-c", &script]), folder.path(), &[]);
    let server = run(command.env("HYBRID_URL", hybrid.url()));
    // 512 blocks of 512 or of 1024 bytes, as the shell has it.
    let large = jsonl((0..200).map(|number| format!("{number} {}", "x".repeat(9_000))));
    let (status, body) = server.ask("POST", "/v1/jobs", JSONL, large.as_bytes());
    assert_eq!((status, &body["error"]["code"]), (507, &json!("disk_full")), "{body}");
    assert_eq!(server.get("/v1/jobs").1, json!({"jobs": []}));
    assert_eq!(std::fs::read_dir(folder.path().join("incoming")).expect("list").count(), 0);
    // What fits is taken.
    assert_eq!(server.teach(JSONL, "\"a\"\n")["taught"], 1);
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn progress_that_cannot_be_written_holds_the_job_and_is_told() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.shut_gate();
    let id = server.upload(JSONL, &jsonl((0..40).map(|number| format!("text {number}"))));
    hybrid.wait_for_call();
    // A folder in the place of the file that the record is written to first.
    let obstacle = folder.path().join("jobs").join(&id).join("job.json.new");
    std::fs::create_dir(&obstacle).expect("make");
    hybrid.open_gate();
    let job = server.wait_for(&id, "waiting");
    assert!(
        job["reason"].as_str().is_some_and(|reason| reason.contains("progress cannot be written")),
        "{job}"
    );
    let (status, body) = server.get("/health");
    assert_eq!(status, 503);
    assert!(reason(&body).contains("DATA_DIR"), "{body}");
    std::fs::remove_dir(&obstacle).expect("remove");
    assert_eq!(server.wait_for(&id, "done")["taught"], 40);
    wait("it is well again", || server.get("/health").0 == 200);
    // What was taught is not taught again for it.
    assert_eq!(hybrid.calls(), [32, 8]);
}

#[test]
fn a_damaged_job_has_failed_and_keeps_no_other_from_its_turn() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.shut_gate();
    let ids: Vec<String> =
        ["a", "b", "c", "d"].iter().map(|text| server.upload(JSONL, &format!("\"{text}\"\n"))).collect();
    server.kill();
    hybrid.open_gate();
    let place = |index: usize| folder.path().join("jobs").join(&ids[index]);
    std::fs::write(place(0).join("job.json"), "{\"form\":1").expect("damage");
    std::fs::write(place(1).join("input"), "\"").expect("damage");
    std::fs::remove_file(place(2).join("input")).expect("damage");

    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(server.wait_for(&ids[3], "done")["taught"], 1);
    for (index, says) in [(0, "job.json cannot be used"), (1, "accepted with 4"), (2, "cannot be read")] {
        let job = server.wait_for(&ids[index], "failed");
        assert!(job["reason"].as_str().is_some_and(|reason| reason.contains(says)), "{job}");
    }
    // What may still be of use is left.
    assert!(place(0).join("input").exists());
}
