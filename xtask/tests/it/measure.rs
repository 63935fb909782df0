//! `measure` with a fake docker: its plan, what it leaves out, and usage errors.

use crate::support::{FakeDocker, repository, told};

/// An engine with these images.
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
fn the_plan_takes_turns_and_names_originals_that_are_not_built() {
    let repository = repository("fx");
    let output =
        engine(&ALL_BUT_ONE).run(&repository, &["measure", "--only", "start", "--runs", "2", "--dry-run"]);
    snapshot!("measure_dry_run", output, repository);
    assert_eq!(repository.read("target/xtask/measure.json"), "", "a plan measures nothing");
}

#[test]
fn a_missing_optimized_image_is_named_with_the_command_that_builds_it() {
    let repository = repository("fx");
    let output = engine(&ALL_BUT_ONE[..2]).run(&repository, &["measure", "--only", "start"]);
    snapshot!("measure_missing", output, repository);
}

#[test]
fn usage_errors_come_before_docker_is_called() {
    let repository = repository("fx");
    for (args, words) in [
        (["--stack", "alpha"].as_slice(), "--stack measures all services together: name none"),
        (&["--runs", "0"], "0 is not in 1..=1000"),
        (&["--only", "start,speed"], "invalid value 'speed'"),
        (&["alhpa"], "did you mean `alpha`"),
        (&["--load"], "declares no [[load.NAME]]"),
        (&["--load", "ask", "--stack"], "cannot be used with"),
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
fn a_second_run_in_the_same_checkout_is_refused() {
    let repository = repository("fx");
    repository.write("target/xtask/measure.lock", "");
    let lock = std::fs::File::open(repository.0.join("target/xtask/measure.lock")).unwrap();
    lock.lock().unwrap();
    let output = engine(&ALL_BUT_ONE).run(&repository, &["measure", "alpha", "--only", "start"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("is active in this checkout"), "{text}");
}
