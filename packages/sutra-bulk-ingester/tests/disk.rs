//! A data folder that is unusable, full, damaged or in use.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::hybrid::Hybrid;
use support::{JSONL, clean, folder, jsonl, run, start, wait};

fn reason(body: &Value) -> &str {
    body["reason"].as_str().unwrap_or_default()
}

#[test]
fn an_unwritable_folder_is_reported_and_retried() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let path = folder.path().join("data");
    std::fs::write(&path, "a file").expect("write");
    let server = start(&path, &hybrid.url(), &[]);
    let (status, body) = server.get("/health");
    assert_eq!((status, &body["status"]), (503, &json!("failed")));
    assert!(
        reason(&body).contains("cannot write to DATA_DIR") && reason(&body).contains("mount a volume"),
        "{body}"
    );
    for (method, route) in
        [("POST", "/v1/jobs"), ("GET", "/v1/jobs"), ("GET", "/v1/jobs/1"), ("DELETE", "/v1/jobs/1")]
    {
        let (status, body) = server.send(method, route, JSONL, b"\"a\"\n");
        assert_eq!((status, &body["error"]["code"]), (503, &json!("unavailable")), "{method} {route}");
    }
    std::fs::remove_file(&path).expect("remove");
    wait("the service to be ready", || server.get("/health").0 == 200);
    server.teach(JSONL, "\"a\"\n");
}

#[test]
fn a_folder_in_use_is_opened_once_it_is_free() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let first = start(folder.path(), &hybrid.url(), &[]);
    let second = start(folder.path(), &hybrid.url(), &[]);
    let (status, body) = second.get("/health");
    assert_eq!(status, 503);
    assert!(reason(&body).contains("in use by another process"), "{body}");
    let id = first.upload(JSONL, "\"a\"\n");
    first.wait_for(&id, "done");
    first.kill();
    wait("the service to be ready", || second.get("/health").0 == 200);
    assert_eq!(second.job(&id)["state"], "done");
}

/// Simulates a full disk with a limit on the file size: both fail in the middle of a write.
#[test]
fn an_upload_that_does_not_fit_is_rejected_and_removed() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    // Ignores the signal of the limit, which a full disk does not send.
    let script = format!("trap '' XFSZ; ulimit -f 512; exec {}", env!("CARGO_BIN_EXE_sutra-bulk-ingester"));
    let mut command = Command::new("sh");
    clean(command.args(["-c", &script]), folder.path(), &[]);
    let server = run(command.env("HYBRID_URL", hybrid.url()));
    // 512 blocks of 512 or 1024 bytes, depending on the shell.
    let large = jsonl((0..200).map(|number| format!("{number} {}", "x".repeat(9_000))));
    let (status, body) = server.send("POST", "/v1/jobs", JSONL, large.as_bytes());
    assert_eq!((status, &body["error"]["code"]), (507, &json!("disk_full")), "{body}");
    assert_eq!(server.get("/v1/jobs").1, json!({"jobs": []}));
    assert_eq!(std::fs::read_dir(folder.path().join("incoming")).expect("list").count(), 0);
    // A smaller upload fits.
    assert_eq!(server.teach(JSONL, "\"a\"\n")["taught"], 1);
    assert_eq!(server.get("/health").0, 200);
}

#[test]
fn a_job_waits_while_progress_cannot_be_written() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.pause();
    let id = server.upload(JSONL, &jsonl((0..40).map(|number| format!("text {number}"))));
    hybrid.wait_for_call();
    // A folder with the name of the temporary file of the record.
    let obstacle = folder.path().join("jobs").join(&id).join("job.json.new");
    std::fs::create_dir(&obstacle).expect("make");
    hybrid.resume();
    let job = server.wait_for(&id, "waiting");
    assert!(
        job["reason"].as_str().is_some_and(|reason| reason.contains("cannot write job progress")),
        "{job}"
    );
    let (status, body) = server.get("/health");
    assert_eq!(status, 503);
    assert!(reason(&body).contains("DATA_DIR"), "{body}");
    std::fs::remove_dir(&obstacle).expect("remove");
    assert_eq!(server.wait_for(&id, "done")["taught"], 40);
    wait("the service to recover", || server.get("/health").0 == 200);
    // No batch is taught twice.
    assert_eq!(hybrid.calls(), [32, 8]);
}

#[test]
fn a_damaged_job_fails_without_blocking_others() {
    let (folder, hybrid) = (folder(), Hybrid::start());
    let server = start(folder.path(), &hybrid.url(), &[]);
    hybrid.pause();
    let ids: Vec<String> =
        ["a", "b", "c", "d"].iter().map(|text| server.upload(JSONL, &format!("\"{text}\"\n"))).collect();
    server.kill();
    hybrid.resume();
    let job_folder = |index: usize| folder.path().join("jobs").join(&ids[index]);
    std::fs::write(job_folder(0).join("job.json"), "{\"form\":1").expect("damage");
    std::fs::write(job_folder(1).join("input"), "\"").expect("damage");
    std::fs::remove_file(job_folder(2).join("input")).expect("damage");

    let server = start(folder.path(), &hybrid.url(), &[]);
    assert_eq!(server.wait_for(&ids[3], "done")["taught"], 1);
    for (index, expected) in [(0, "cannot read"), (1, "4 expected"), (2, "cannot read the upload")] {
        let job = server.wait_for(&ids[index], "failed");
        assert!(job["reason"].as_str().is_some_and(|reason| reason.contains(expected)), "{job}");
    }
    // The upload of a damaged job is kept.
    assert!(job_folder(0).join("input").exists());
}
