//! `measure` as people meet it, with a docker that replays: what it plans, what it leaves out and says so, what it refuses.

use crate::support::{FakeDocker, repository, told};

/// An engine that has these images.
fn engine(tags: &[&str]) -> FakeDocker {
    let images: Vec<serde_json::Value> = tags
        .iter()
        .map(|tag| serde_json::json!({"Id": format!("sha256:{tag}"), "RepoTags": [tag], "Size": 1000}))
        .collect();
    let text = serde_json::to_string(&images).unwrap();
    FakeDocker::new().alive().on(
        "image inspect *",
        1,
        &text,
        "Error response from daemon: No such image: x\n",
    )
}

const ALL_BUT_ONE: [&str; 3] =
    ["fx-alpha:latest-simple", "fx-alpha:latest-simple-optimized", "fx-beta:latest-simple-optimized"];

#[test]
fn the_plan_takes_turns_and_says_which_original_is_not_built() {
    let repository = repository("fx");
    let output =
        engine(&ALL_BUT_ONE).run(&repository, &["measure", "--only", "start", "--runs", "2", "--dry-run"]);
    snapshot!("measure_dry_run", output, repository);
    assert_eq!(repository.read("target/xtask/measure.json"), "", "a plan measures nothing");
}

#[test]
fn an_optimized_image_that_is_missing_is_named_with_what_builds_it() {
    let repository = repository("fx");
    let output = engine(&ALL_BUT_ONE[..2]).run(&repository, &["measure", "--only", "start"]);
    snapshot!("measure_missing", output, repository);
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_asked() {
    let repository = repository("fx");
    for (args, words) in [
        (
            ["--throttle", "100MB"].as_slice(),
            "`100MB` is no rate: write a whole number above 0 and one of kbit",
        ),
        (&["--stack", "alpha"], "--stack measures all services together: name none"),
        (&["--runs", "0"], "0 is not in 1..=1000"),
        (&["--only", "start,speed"], "invalid value 'speed'"),
        (&["alhpa"], "did you mean `alpha`"),
    ] {
        let fake = FakeDocker::new();
        let output = fake.run(&repository, &[&["measure"], args].concat());
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(fake.calls(), [""; 0]);
    }
}

#[test]
fn two_at_once_would_measure_each_other() {
    let repository = repository("fx");
    repository.write("target/xtask/measure.lock", "");
    let lock = std::fs::File::open(repository.0.join("target/xtask/measure.lock")).unwrap();
    lock.lock().unwrap();
    let output = engine(&ALL_BUT_ONE).run(&repository, &["measure", "alpha", "--only", "start"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("is active in this checkout"), "{text}");
}
