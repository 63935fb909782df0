//! Full memory, full disks, and vectors of other models.
#![allow(clippy::expect_used, dead_code, reason = "tests may panic")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Server, program, run, start};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(server: &Server, model: Option<&str>, ids: std::ops::Range<u32>, vector: &[f32]) -> (u16, Value) {
    let concepts: Vec<_> =
        ids.map(|id| json!({"id": id.to_string(), "text": format!("text {id}"), "vector": vector})).collect();
    let mut body = json!({"concepts": concepts});
    if let Some(model) = model {
        body["model"] = model.into();
    }
    server.post("/v1/concepts", &body)
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}

#[test]
fn at_its_memory_limit_the_store_refuses_new_vectors_and_works_on() {
    let folder = folder();
    let server = start(folder.path(), &[("MAX_MEMORY_BYTES", "16000000")]);
    let vector = [1.0; 384];
    let mut stored = 0;
    let full = loop {
        match put(&server, None, stored..stored + 500, &vector) {
            (200, _) => stored += 500,
            answer => break answer,
        }
        assert!(stored < 20_000, "no limit");
    };
    assert_eq!(code(&full), (507, "full"), "{}", full.1);
    let stats = server.get("/v1/stats").1;
    assert_eq!(stats["vectors"], stored);
    assert_eq!(stats["vector_bytes_limit"], 4_000_000);
    assert!(stats["vector_bytes"].as_u64() <= stats["vector_bytes_limit"].as_u64(), "{stats}");
    assert!(stats["bytes_per_vector"].as_u64().is_some_and(|bytes| (384..1000).contains(&bytes)), "{stats}");
    assert_eq!(server.get(&format!("/v1/concepts/{stored}")).0, 404);

    // What needs no more memory goes on.
    assert_eq!(put(&server, None, 0..500, &vector).0, 200);
    assert_eq!(server.post("/v1/concepts", &json!({"concepts": [{"text": "no vector"}]})).0, 200);
    assert_eq!(server.search(&json!({"vector": vector.to_vec(), "limit": 3})).len(), 3);
    assert_eq!(server.get("/health").0, 200);
    assert_eq!(server.post("/v1/reembed", &json!({"model": "other"})).0, 200);
    assert_eq!(server.get("/v1/stats").1["vector_bytes"], 0);
    assert_eq!(put(&server, None, 0..500, &vector).0, 200);
}

#[test]
fn vectors_of_another_model_are_refused_until_all_are_replaced() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    assert_eq!(put(&server, Some("a"), 0..3, &[1.0, 0.0]).0, 200);
    assert_eq!(code(&put(&server, Some("b"), 3..4, &[1.0, 0.0])), (409, "other_model"));
    assert_eq!(put(&server, None, 3..4, &[1.0, 0.0]).0, 200);
    let search = |model: &str| server.post("/v1/search", &json!({"vector": [1, 0], "model": model}));
    assert_eq!(search("a").0, 200);
    assert_eq!(code(&search("b")), (409, "other_model"));
    // A text has no model.
    let text = json!({"model": "b", "concepts": [{"id": "t", "text": "t"}]});
    assert_eq!(server.post("/v1/concepts", &text).0, 200);

    server.kill();
    let server = start(folder.path(), &[]);
    assert_eq!(code(&put(&server, Some("b"), 3..4, &[1.0, 0.0])), (409, "other_model"));
    let change = json!({"model": "b", "dimension": 3});
    assert_eq!(server.post("/v1/reembed", &change), (200, change));
    let stats = server.get("/v1/stats").1;
    assert_eq!((&stats["concepts"], &stats["vectors"], &stats["model"]), (&json!(5), &json!(0), &json!("b")));
    assert_eq!(server.search(&json!({"vector": [1, 0, 0]})), [""; 0]);
    assert_eq!(server.find("text").len(), 4);
    assert_eq!(put(&server, Some("b"), 0..2, &[1.0, 0.0, 0.0]).0, 200);
    assert_eq!(server.search(&json!({"vector": [1, 0, 0], "model": "b"})), ["0", "1"]);
    for (body, expected) in [
        (json!({"model": ""}), "model is empty"),
        (json!({"model": "c", "dimension": 0}), "dimension"),
        (json!({"model": "c", "dimension": 5000}), "MAX_DIMENSION"),
        (json!({}), "missing field `model`"),
    ] {
        let (status, answer) = server.post("/v1/reembed", &body);
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(expected)), "{answer}");
    }
}

#[test]
fn a_store_that_no_longer_fits_into_memory_does_not_start() {
    let folder = folder();
    let server = start(folder.path(), &[]);
    assert_eq!(put(&server, None, 0..100, &[1.0; 384]).0, 200);
    server.kill();
    let output = program(folder.path(), &[("MAX_MEMORY_BYTES", "100000")]).output().expect("run");
    let log = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{log}");
    assert!(log.contains("100 vectors of 384 numbers") && log.contains("MAX_MEMORY_BYTES"), "{log}");
}

/// Limits the size of files that the program writes; `None` lifts the limit.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let mut command = Command::new("prlimit");
    let status = command.args([format!("--pid={}", server.id()), format!("--fsize={limit}:")]).status();
    assert!(status.expect("prlimit").success());
}

#[test]
fn writing_goes_on_after_a_passing_disk_error() {
    let folder = folder();
    // The signal would end the program; ignored, the write fails.
    let mut command = Command::new("/usr/bin/env");
    command.arg("--ignore-signal=XFSZ");
    let program = program(folder.path(), &[]);
    command.arg(program.get_program());
    command.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let server = run(&mut command);
    assert_eq!(put(&server, None, 0..100, &[1.0; 384]).0, 200);
    let largest = std::fs::metadata(folder.path().join("concepts.redb")).expect("the file").len();

    limit_files(&server, Some(largest));
    let mut acknowledged = 100;
    let failed = loop {
        match put(&server, None, acknowledged..acknowledged + 100, &[1.0; 384]) {
            (200, _) => acknowledged += 100,
            answer => break answer,
        }
    };
    assert_eq!(code(&failed), (503, "unavailable"), "{}", failed.1);

    limit_files(&server, None);
    let waited = Instant::now();
    while put(&server, None, acknowledged..acknowledged + 100, &[1.0; 384]).0 != 200 {
        assert!(waited.elapsed() < Duration::from_secs(60), "writing does not go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    acknowledged += 100;
    assert_eq!(server.get("/health").0, 200);
    let stats = server.get("/v1/stats").1;
    assert_eq!((&stats["concepts"], &stats["vectors"]), (&json!(acknowledged), &json!(acknowledged)));
    let last = (acknowledged - 1).to_string();
    assert_eq!(server.find(&last), [last]);
    assert_eq!(server.search(&json!({"vector": vec![1.0; 384], "limit": 100})).len(), 100);
}
