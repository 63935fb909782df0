//! `push` and `clean` on the command line, with a fake docker that replays real output.

use crate::support::{FakeDocker, Folder, repository, told};
use serde_json::{Value, json};

pub const DIGEST: &str = "sha256:9e80fa8303d728eb8d0c3b8e891186146f28711fec4e34247c9afd248e4dc9b3";

/// `docker image inspect` of alpha and beta, each with both tags of the default edition.
pub fn both() -> String {
    let image = |name: &str| {
        json!({"Id": format!("sha256:{name}"), "Size": name.len(), "RootFS": {"Layers": [format!("sha256:{name}-layer")]},
            "RepoTags": [format!("fx-{name}:1-simple-optimized"), format!("fx-{name}:1-optimized")],
            "Config": {"Labels": {"fixture.images.edition": "simple", "fixture.images.variant": "optimized",
                "org.opencontainers.image.title": format!("fx-{name}")}}})
    };
    json!([image("alpha"), image("beta")]).to_string()
}

/// [`both`] after a push: the engine adds the digests.
pub fn both_pushed() -> String {
    let mut images: Value = serde_json::from_str(&both()).unwrap();
    for image in images.as_array_mut().unwrap() {
        image["RepoDigests"] = json!([format!("hub.example/t/fx@{DIGEST}")]);
    }
    images.to_string()
}

/// A fake docker that can tag. Add transcripts before those of [`with_images`].
pub fn docker_for_push() -> FakeDocker {
    FakeDocker::new().alive().on("tag*", 0, "", "").on("image rm hub.example/*", 0, "", "")
}

/// Adds both images and an empty registry that accepts every push.
pub fn with_images(docker: FakeDocker) -> FakeDocker {
    docker
        .on("buildx imagetools*", 1, "", "ERROR: hub.example/t/fx:1: not found\n")
        .on("push*alpha*", 0, &pushed("alpha"), "")
        .on("push*beta*", 0, &pushed("beta"), "")
        .on("image inspect*", 0, &both_pushed(), "")
}

pub fn calls(docker: &FakeDocker, start: &str) -> Vec<String> {
    docker.calls().into_iter().filter(|call| call.starts_with(start)).collect()
}

fn pushed(name: &str) -> String {
    format!(
        "The push refers to repository [hub.example/t/fx-{name}]\nf94d01e14331: Preparing\nf94d01e14331: Pushed\n1: digest: {DIGEST} size: 738\n"
    )
}

pub fn push(docker: &FakeDocker, repository: &Folder, more: &[&str]) -> std::process::Output {
    let args = [&["push", "--tag", "1", "--registry", "hub.example/t", "--jobs", "1"], more].concat();
    docker.run(repository, &args)
}

#[test]
fn a_push_needs_a_registry() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    snapshot!("push_needs_a_registry", docker.run(&repository, &["push"]), repository);
    assert_eq!(docker.calls(), Vec::<String>::new());
}

#[test]
fn missing_images_are_reported_before_anything_is_pushed() {
    let repository = repository("fx");
    let docker = FakeDocker::new().alive().on("image inspect*", 1, "[]", "Error: No such image: fx-alpha\n");
    snapshot!("push_of_missing_images", push(&docker, &repository, &[]), repository);
    assert!(!docker.calls().iter().any(|call| call.starts_with("push") || call.starts_with("tag")));
}

#[test]
fn a_push_prints_a_table_and_records_the_digests() {
    let repository = repository("fx");
    let docker = with_images(docker_for_push());
    snapshot!("push_dry_run", push(&docker, &repository, &["--dry-run"]), repository);
    assert_eq!(repository.read("target/xtask/digests.json"), "");
    // The smaller image goes first.
    snapshot!("push_table", push(&docker, &repository, &[]), repository);
    insta::with_settings!({omit_expression => true, prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("push_record", repository.read("target/xtask/digests.json"));
    });
    assert!(!repository.0.join("target/xtask/push.json").exists());
    let again = push(&docker, &repository, &["alpha", "--format", "json"]);
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&report["schema"], &report["registry"]), (&json!(1), &json!("hub.example/t")));
    // The registry is empty, although the record lists the image.
    assert_eq!(
        (&report["images"][0]["state"], &report["images"][0]["layers_sent"]),
        (&json!("pushed"), &json!(1))
    );
}

/// Runs these lines before the fake docker looks for a transcript.
fn first_run(docker: &FakeDocker, lines: &str) {
    let script = docker.folder.read("bin/docker");
    docker.folder.write("bin/docker", &script.replace("#!/bin/sh\n", &format!("#!/bin/sh\n{lines}\n")));
}

#[test]
fn a_push_plans_again_when_another_run_removes_an_image_before_it_is_held() {
    let repository = repository("fx");
    let docker = with_images(docker_for_push());
    let gone = r#"case "$*" in "tag sha256:beta "*) if [ ! -e "$FAKE_DOCKER/once" ]; then
        : > "$FAKE_DOCKER/once"; echo 'Error response from daemon: No such image: sha256:beta' >&2; exit 1
    fi ;; esac"#;
    first_run(&docker, gone);
    let output = push(&docker, &repository, &[]);
    assert!(output.status.success(), "{}", told(&output, &repository));
    assert_eq!(calls(&docker, "image inspect -- fx-alpha:1-simple-optimized hub.example").len(), 2);
    assert_eq!(calls(&docker, "push").len(), 4);
    // Every image gets a tag before the first upload.
    let calls = docker.calls();
    let first = |start: &str| calls.iter().position(|call| call.starts_with(start)).unwrap();
    assert!(first("tag sha256:beta ") < first("push"));
}

#[test]
fn a_pushed_image_is_pinned_after_it_was_removed_here() {
    let repository = repository("fx");
    let entry = |image: &str| json!({"digest": DIGEST, "image": image, "service": "alpha", "edition": "simple", "variant": "optimized"});
    let record = json!({"schema": 1, "images": {"hub.example/fx-alpha:1-optimized": entry("sha256:gone"),
        "hub.example/fx-beta:1-optimized": entry("sha256:old")}});
    repository.write("target/xtask/digests.json", &record.to_string());
    repository.write("docker-compose.yml", "services: {a: {image: 'fx-alpha:1'}, b: {image: 'fx-beta:1'}}\n");
    let rebuilt = json!([{"Id": "sha256:new", "RepoTags": ["hub.example/fx-beta:1-optimized"]}]).to_string();
    let docker = FakeDocker::new().alive().on("image inspect -- hub.example/fx-beta*", 0, &rebuilt, "").on(
        "image inspect*",
        1,
        "[]",
        "Error: No such image\n",
    );
    let args = ["compose-switch", "optimized", "--registry", "hub.example", "--pin", "--allow-missing"];
    let text = told(&docker.run(&repository, &args), &repository);
    let file = repository.read("docker-compose.yml");
    assert!(file.contains(&format!("'hub.example/fx-alpha:1-optimized@{DIGEST}'")), "{file}\n{text}");
    // Beta was rebuilt after its push, so the old digest no longer applies.
    assert!(file.contains("'fx-beta:1'"), "{file}");
    assert!(
        text.contains(
            "hub.example/fx-beta:1-optimized has no registry digest: push it first (cargo xtask push)"
        ),
        "{text}"
    );
}

#[test]
fn a_registry_that_needs_a_login_is_tried_once() {
    let repository = repository("fx");
    let mine = json!([{"Id": "sha256:beta", "RepoTags": ["hub.example/t/fx-beta:1-simple-optimized"]}]);
    let docker = docker_for_push()
        .on(
            "push*",
            1,
            "The push refers to repository [hub.example/t/fx-beta]\n",
            "no basic auth credentials\n",
        )
        .on("image inspect -- hub.example/t/fx-beta:1-simple-optimized", 0, &mine.to_string(), "");
    let docker = with_images(docker);
    snapshot!("push_without_credentials", push(&docker, &repository, &[]), repository);
    assert_eq!(calls(&docker, "push").len(), 1);
    assert_eq!(calls(&docker, "image rm"), ["image rm hub.example/t/fx-beta:1-simple-optimized"]);
}

#[test]
fn a_rejected_push_fails_only_that_image() {
    let repository = repository("fx");
    let docker =
        with_images(docker_for_push().on("push*beta*", 1, "", "manifest invalid: manifest invalid\n"));
    snapshot!("push_that_is_rejected", push(&docker, &repository, &[]), repository);
}

#[test]
fn a_damaged_record_is_reported_before_anything_is_pushed() {
    let repository = repository("fx");
    repository.write("target/xtask/digests.json", "{\"schema\": 1, \"images\": {");
    let docker = FakeDocker::new().alive();
    let output = push(&docker, &repository, &[]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("digests.json is damaged\nhelp: remove it"), "{text}");
    repository.write("target/xtask/digests.json", "{\"schema\": 2, \"images\": {}}");
    assert!(told(&push(&docker, &repository, &[]), &repository).contains("has schema 2"));
}

#[test]
fn a_clean_up_reports_removed_and_kept_images_and_freed_bytes() {
    let repository = repository("fx");
    let docker = FakeDocker::new()
        .alive()
        .on("image inspect*fx-*", 0, &both(), "")
        .on("ps*", 0, "c1\n", "")
        .on("container inspect*", 0, r#"[{"Name":"/old-beta","Image":"sha256:beta"}]"#, "")
        .on("history*", 0, "{\"CreatedBy\":\"COPY x / # buildkit\",\"Size\":\"37367120\"}\n", "")
        .on(
            "image rm --no-prune fx-alpha:1-simple-optimized",
            0,
            "Untagged: fx-alpha:1-simple-optimized\n",
            "",
        )
        .on(
            "image rm --no-prune fx-alpha:1-optimized",
            0,
            "Untagged: fx-alpha:1-optimized\nDeleted: sha256:alpha\nDeleted: sha256:chain\n",
            "",
        )
        .on("image ls*", 0, "sha256:beta\n", "")
        .on("image inspect -- sha256:beta", 0, &both(), "");
    let run = |more: &[&str]| docker.run(&repository, &[&["clean", "--tag", "1"], more].concat());
    snapshot!("clean_dry_run", run(&["--dry-run"]), repository);
    assert!(!docker.calls().iter().any(|call| call.starts_with("image rm")));
    snapshot!("clean_table", run(&[]), repository);
}

#[test]
fn a_clean_up_ignores_images_that_another_run_removes_before_it_has_the_lock() {
    let repository = repository("fx");
    let docker = FakeDocker::new().alive().on("image inspect*", 0, &both(), "");
    let docker = docker.on("ps*", 0, "", "").on("image ls*", 0, "", "");
    let gone = r#"case "$*" in
        "history "*) : > "$FAKE_DOCKER/gone"; echo 'Error response from daemon: No such image' >&2; exit 1 ;;
        "image inspect "*) if [ -e "$FAKE_DOCKER/gone" ]; then
            echo '[]'; echo 'Error response from daemon: No such image' >&2; exit 1
        fi ;;
    esac"#;
    first_run(&docker, gone);
    let output = docker.run(&repository, &["clean", "--tag", "1"]);
    assert!(output.status.success(), "{}", told(&output, &repository));
    assert!(docker.folder.0.join("gone").exists());
    assert_eq!(calls(&docker, "image rm"), [""; 0]);
}

#[test]
fn cache_only_prunes_the_whole_build_cache_and_touches_no_image() {
    let repository = repository("fx");
    let docker = FakeDocker::new()
        .alive()
        .on("buildx version", 0, "github.com/docker/buildx 0.13.1\n", "")
        .on("buildx du*", 0, "Reclaimable:\t12MB\nTotal:\t\t12MB\n", "")
        .on("buildx prune*", 0, "Total:\t7MB\n", "")
        .on("ps*", 0, "", "")
        .on("image ls*", 0, "", "");
    let clean = |more: &[&str]| {
        let output = docker.run(&repository, &[&["clean", "--cache-only"], more].concat());
        (output.status.code(), told(&output, &repository))
    };
    let (code, text) = clean(&["--dry-run"]);
    assert_eq!(code, Some(0), "{text}");
    let size = "Would prune the whole build cache of the builder, other projects' included: 12MB in total.";
    assert!(text.contains(size), "{text}");
    let prunes =
        || docker.calls().into_iter().filter(|call| call.starts_with("buildx prune")).collect::<Vec<_>>();
    assert_eq!(prunes(), Vec::<String>::new());
    let (code, text) = clean(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("7MB of 12MB freed"), "{text}");
    assert_eq!(prunes(), ["buildx prune --force"]);
    let calls = docker.calls();
    assert!(
        !calls.iter().any(|call| call.starts_with("image rm") || call.starts_with("image inspect")),
        "{calls:?}"
    );
    for other in ["alpha", "--cache", "--tag=1", "--edition=all", "--variant=both"] {
        assert_eq!(clean(&[other]).0, Some(2), "{other} conflicts with --cache-only");
    }
}
