//! `push` compares images with the registry; with a fake docker.

use std::process::Output;

use crate::push_and_clean::{DIGEST, both, both_pushed, calls, docker_for_push, push, with_images};
use crate::support::{repository, told};
use serde_json::{Value, json};

/// An image manifest as a registry stores it.
fn manifest(name: &str) -> String {
    json!({"schemaVersion": 2, "config": {"digest": format!("sha256:{name}"), "size": 1}, "layers": []})
        .to_string()
}

fn states(output: &Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = |row: &Value| {
        let name = row["reference"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (name, row["state"].as_str().unwrap().to_owned())
    };
    report["images"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn unchanged_images_are_not_pushed_even_without_a_record() {
    let repository = repository("fx");
    let docker = docker_for_push().on("buildx imagetools*alpha*", 0, &manifest("alpha"), "").on(
        "buildx imagetools*beta*",
        0,
        &manifest("beta"),
        "WARNING: of docker itself\n",
    );
    let docker = with_images(docker);
    for mode in [&["--dry-run"][..], &[], &[]] {
        let output = push(&docker, &repository, &[mode, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", told(&output, &repository));
        assert!(
            states(&output).iter().all(|(_, state)| state == "unchanged"),
            "{}",
            told(&output, &repository)
        );
    }
    assert_eq!(calls(&docker, "push"), [""; 0]);
}

#[test]
fn an_image_with_attestations_is_the_same_image() {
    let repository = repository("fx");
    let attestation = json!({"digest": "sha256:about", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}});
    let index = |images: &[&str]| {
        let images = images.iter().map(|digest| json!({"digest": digest}));
        json!({"schemaVersion": 2, "manifests": images.chain([attestation.clone()]).collect::<Vec<_>>()})
            .to_string()
    };
    let docker = docker_for_push()
        .on("buildx imagetools*hub.example/t/fx-alpha@sha256:one", 0, &manifest("alpha"), "")
        .on("buildx imagetools*alpha:1-simple*", 0, &index(&["sha256:one"]), "")
        .on("buildx imagetools*alpha:1-optimized", 0, &index(&["sha256:one", "sha256:two"]), "");
    let output = push(&with_images(docker), &repository, &["alpha", "--format", "json"]);
    let states: Vec<String> = states(&output).into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["unchanged", "replaced"], "{}", told(&output, &repository));
}

#[test]
fn a_tag_moved_elsewhere_is_replaced_despite_the_record() {
    let repository = repository("fx");
    let entry = json!({"digest": DIGEST, "image": "sha256:alpha", "service": "alpha", "edition": "simple", "variant": "optimized"});
    let references = ["hub.example/t/fx-alpha:1-simple-optimized", "hub.example/t/fx-alpha:1-optimized"];
    let record = json!({"schema": 1, "images": {references[0]: entry, references[1]: entry}});
    repository.write("target/xtask/digests.json", &record.to_string());
    let index = json!({"schemaVersion": 2, "manifests": [{"digest": DIGEST}]}).to_string();
    let docker = docker_for_push()
        .on("buildx imagetools*fx-alpha:1-simple*", 0, &manifest("somebody else's"), "")
        .on("buildx imagetools*fx-alpha:1-optimized", 0, &index, "");
    let docker = with_images(docker);
    snapshot!("push_that_replaces_dry_run", push(&docker, &repository, &["alpha", "--dry-run"]), repository);
    snapshot!("push_that_replaces", push(&docker, &repository, &["alpha"]), repository);
}

#[test]
fn a_digest_of_an_earlier_push_is_enough_where_only_the_engine_reaches_the_registry() {
    let repository = repository("fx");
    let resolved = |name: &str| {
        format!("#4 [1/1] FROM hub.example/t/fx-{name}:1-simple-optimized@{DIGEST}\n#4 DONE 0.1s\n")
    };
    let docker = docker_for_push()
        .on("buildx imagetools*", 1, "", "ERROR: failed to do request: Head \"https://hub.example/v2/\": dial tcp: lookup hub.example: no such host\n")
        .on("context inspect*", 0, "remote\n", "")
        // Resolves the digest through the engine of docker's context, without pulling the image.
        .on("buildx build --builder remote --pull*", 0, &resolved("alpha"), "")
        .on("image inspect*", 0, &both_pushed(), "");
    let output = push(&docker, &repository, &["alpha", "--fixed-tags", "--format", "json"]);
    assert_eq!(
        states(&output),
        [("fx-alpha:1-simple-optimized".into(), "unchanged".into())],
        "{}",
        told(&output, &repository)
    );
    assert_eq!(calls(&docker, "push"), [""; 0]);
}

#[test]
fn a_registry_that_cannot_be_asked_is_pushed_to_and_the_report_says_so() {
    let repository = repository("fx");
    let docker = docker_for_push()
        .on("buildx*", 1, "", "ERROR: failed to do request: Head \"https://hub.example/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority\n")
        .on("context inspect*", 0, "default\n", "");
    snapshot!("push_without_comparing", push(&with_images(docker), &repository, &[]), repository);
}

#[test]
fn an_immutable_registry_accepts_what_is_new_and_rejects_only_what_would_change() {
    let repository = repository("fx");
    let immutable = "tag invalid: The image tag '1' already exists in the 't/fx-beta' repository and cannot be overwritten because the repository is immutable.\n";
    let docker = docker_for_push()
        .on("buildx imagetools*alpha:1-simple*", 0, &manifest("alpha"), "")
        .on("buildx imagetools*beta:1-simple*", 0, &manifest("an older one"), "")
        .on("push*beta:1-simple*", 1, "", immutable);
    snapshot!("push_to_an_immutable_registry", push(&with_images(docker), &repository, &[]), repository);
}

#[test]
fn moving_tags_can_be_left_out() {
    let repository = repository("fx");
    let docker = with_images(docker_for_push());
    let output = push(&docker, &repository, &["--fixed-tags"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output, &repository));
    let tags = ["beta", "alpha"].map(|name| format!("push hub.example/t/fx-{name}:1-simple-optimized"));
    assert_eq!(calls(&docker, "push"), tags);
    for command in [&["push"][..], &["build-images", "--push"]] {
        let args = [command, &["--fixed-tags", "--tag", "latest", "--registry", "hub.example/t"]].concat();
        let text = told(&docker.run(&repository, &args), &repository);
        assert!(text.starts_with("exit: 2") && text.contains("\nhelp: add --tag VERSION"), "{text}");
    }
}

#[test]
fn a_repository_name_is_not_a_cause() {
    let repository = repository("fx");
    let unknown = "name unknown: The repository with name 'team/certificate-api' does not exist in the registry with id '1'\n";
    let docker = with_images(docker_for_push().on("push*", 1, "", unknown));
    let text = told(&push(&docker, &repository, &["alpha"]), &repository);
    assert!(
        text.starts_with("exit: 1\n") && text.contains("help: hub.example has no such repository"),
        "{text}"
    );
    assert!(!text.contains("CA"), "{text}");
}

#[test]
fn a_local_tag_that_another_run_moves_is_not_taken_for_ours() {
    let repository = repository("fx");
    // The image never gets the digest that docker reports.
    let docker = docker_for_push().on("image inspect*", 0, &both(), "");
    let output = push(&with_images(docker), &repository, &["alpha"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("another process keeps moving the local tag hub.example/t/fx-alpha:1"), "{text}");
}

#[test]
fn the_next_push_restores_the_local_tags_of_one_that_was_killed() {
    let repository = repository("fx");
    let tag = |name: &str, from: Value| json!({"tag": format!("hub.example/old/{name}"), "to": "sha256:alpha", "from": from});
    let journal = json!([
        tag("new:1", Value::Null),
        tag("moved:1", json!("sha256:before")),
        tag("elsewhere:1", Value::Null),
        tag("pushed:1", Value::Null)
    ]);
    repository.write("target/xtask/push.json", &journal.to_string());
    let entry = json!({"digest": DIGEST, "image": "sha256:alpha", "service": "alpha", "edition": "simple", "variant": "optimized"});
    repository.write(
        "target/xtask/digests.json",
        &json!({"schema": 1, "images": {"hub.example/old/pushed:1": entry}}).to_string(),
    );
    let now = json!([
        {"Id": "sha256:alpha", "RepoTags": ["hub.example/old/new:1", "hub.example/old/moved:1", "hub.example/old/pushed:1"]},
        {"Id": "sha256:other", "RepoTags": ["hub.example/old/elsewhere:1"]}]);
    let docker = docker_for_push().on("image inspect -- hub.example/old/new:1*", 0, &now.to_string(), "").on(
        "image inspect -- sha256:before",
        0,
        r#"[{"Id": "sha256:before"}]"#,
        "",
    );
    let docker = with_images(docker);
    let text = told(&push(&docker, &repository, &["alpha"]), &repository);
    assert!(
        text.contains(
            "restored the local tags that it set: hub.example/old/new:1, hub.example/old/moved:1\n"
        ),
        "{text}"
    );
    assert_eq!(calls(&docker, "image rm"), ["image rm hub.example/old/new:1"]);
    assert_eq!(calls(&docker, "tag")[0], "tag sha256:before hub.example/old/moved:1");
    assert!(!repository.0.join("target/xtask/push.json").exists());
}
