//! The tag lock on the command line: killed runs, other machines' runs, and which commands report them.

use serde_json::json;

use crate::support::{FakeDocker, Folder, told};
use host::process_name::ProcessName;

/// A repository with a Compose file, for commands that read one.
fn on_stand_ins() -> Folder {
    let repository = crate::support::on_stand_ins();
    repository.write("docker-compose.yml", "services:\n  alpha:\n    image: fx-alpha:latest\n");
    repository
}

/// The lock of a dead process, on this machine or another: its start time is before the machine's boot.
fn lock(machine: Option<&str>, since: &str) -> String {
    let own = ProcessName::current().to_string();
    let fields: Vec<&str> = own.split('-').collect();
    let machine = machine.unwrap_or(fields[0]);
    let holder =
        json!({"process": format!("{machine}-{}-1-1-{since}", fields[1]), "host": "far", "checkout": "/b"});
    let step = json!({"tag": "fx-alpha:latest-optimized", "from": null, "to": "sha256:a"});
    json!([{"Id": "stale-id", "Config": {"Labels": {"xtask.lock.holder": holder.to_string(), "xtask.lock.moves": "1",
        "xtask.lock.move.00000": step.to_string()}}}])
    .to_string()
}

#[test]
fn a_journal_outlives_an_engine_that_dies_between_two_tags() {
    let repository = on_stand_ins();
    let dead = "Cannot connect to the Docker daemon\n";
    let docker = FakeDocker::new()
        .on("container inspect -- fixture-images-lock", 0, &lock(None, "1"), "")
        .alive()
        .on("create *-images-recovery *", 0, "recovery-id\n", "")
        .on("rm recovery-id", 0, "", "")
        .on("image inspect -- *", 1, "[]", dead);
    let output = docker.run(&repository, &["build-images"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output, &repository));
    let calls = docker.calls();
    assert!(calls.contains(&"rm recovery-id".to_owned()), "{calls:?}");
    assert!(!calls.contains(&"rm stale-id".to_owned()), "the journal is lost: {calls:?}");
}

/// Answers `image inspect`: temporary tags are on the image `new`, all other tags on `old`, which has no name by its ID.
const INSPECT: &str = r#"case "$*" in
"image inspect -- sha256:old") echo '[{"Id":"sha256:old","Config":{"Labels":{"fixture.images.variant":"optimized"}}}]'; exit ;;
"image inspect -- "*) shift 3; printf '['
for name; do case $name in *:run-*) id=new ;; *) id=old ;; esac
printf '%s{"Id":"sha256:%s","RepoTags":["%s"]}' "$comma" $id "$name"; comma=,; done; echo ']'; exit ;;
esac
for args in"#;

/// A docker whose builds succeed.
fn building() -> FakeDocker {
    FakeDocker::new().alive().on("buildx bake*", 0, "", "").on("tag *", 0, "", "").on("ps --all*", 0, "", "")
}

/// Answers `create` and `load` like an engine into which another run loads the lock's image at the same time.
const LOADED_ELSEWHERE: &str = r#"case "$*" in
"create "*) [ -e "$FAKE_DOCKER/loaded" ] && { echo lock-id; exit; }; echo 'Error: No such image: xtask-lock:1' >&2; exit 1 ;;
"load "*) : > "$FAKE_DOCKER/loaded"; echo 'image "xtask-lock:1": already exists' >&2; exit 1 ;;
esac
for args in"#;

#[test]
fn two_runs_may_load_the_locks_image_at_once() {
    let repository = on_stand_ins();
    let docker = building().on("image rm *", 0, "", "");
    let script = docker.folder.read("bin/docker").replace("for args in", INSPECT);
    docker.folder.write("bin/docker", &script.replace("for args in", LOADED_ELSEWHERE));
    let text = told(&docker.run(&repository, &["build-images", "alpha"]), &repository);
    let calls = docker.calls();
    assert!(calls.iter().any(|call| call.starts_with("load ")), "{text} {calls:?}");
    assert!(calls.contains(&"rm lock-id".to_owned()), "{text} {calls:?}");
}

#[test]
fn the_journal_stays_until_a_full_disk_lets_go_of_the_replaced_images() {
    for (error, code, is_released) in [
        ("write /x: no space left on device", 3, false),
        // Otherwise every build would fail from now on.
        ("conflict: unable to delete", 1, true),
    ] {
        let repository = on_stand_ins();
        let docker = building().on("image rm *", 1, "", &format!("Error response from daemon: {error}\n"));
        let script = docker.folder.read("bin/docker").replace("for args in", INSPECT);
        docker.folder.write("bin/docker", &script);
        let output = docker.run(&repository, &["build-images", "alpha"]);
        let (calls, text) = (docker.calls(), told(&output, &repository));
        assert_eq!(output.status.code(), Some(code), "{text}");
        let tags = calls.iter().filter(|call| call.starts_with("tag sha256:new fx-alpha:latest")).count();
        assert_eq!(tags, 2, "{calls:?}");
        assert_eq!(calls.contains(&"rm lock-id".to_owned()), is_released, "{calls:?}");
    }
}

#[test]
fn a_lock_of_another_machine_is_broken_only_on_request() {
    // The lock claims to be from 1970, so no run waits for it.
    let found = lock(Some("5"), "1");
    let docker = || {
        FakeDocker::new().on("container inspect -- fixture-images-lock", 0, &found, "").alive().on(
            "create *-images-recovery *",
            1,
            "",
            "Error response from daemon: out of ideas\n",
        )
    };
    for command in ["build-images", "clean"] {
        let repository = on_stand_ins();
        let (refusing, breaking) = (docker(), docker());
        if command == "clean" {
            let text = told(&refusing.run(&repository, &[command, "--dry-run"]), &repository);
            assert!(
                text.contains("wait; if that run is over: cargo xtask build-images --break-lock"),
                "{text}"
            );
        }
        let output = refusing.run(&repository, &[command]);
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(3), "{text}");
        let what = "error: the lock on the engine's tags (container fixture-images-lock) is held by process 1 on far, in /b, \
                    since 1970-01-01T00:00:00Z\nhelp: wait for that run to finish; if it was killed: cargo xtask build-images \
                    --break-lock";
        assert!(text.contains(what), "{text}");
        assert!(!refusing.calls().iter().any(|call| call.starts_with("create")), "{:?}", refusing.calls());
        // Reaching this call shows that it is about to complete the journal.
        let text = told(&breaking.run(&repository, &[command, "--break-lock"]), &repository);
        assert!(
            text.contains("docker cannot create the lock on tags: Error response from daemon: out of ideas"),
            "{text}"
        );
    }
}

#[test]
fn a_foreign_container_with_the_locks_name_is_refused() {
    let repository = on_stand_ins();
    let foreign = json!([{"Id": "x", "Config": {"Labels": {}}}]).to_string();
    let docker = FakeDocker::new().on("container inspect -- fixture-images-lock", 0, &foreign, "").alive();
    let output = docker.run(&repository, &["build-images"]);
    let text = told(&output, &repository);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("help: if no run is active, remove it: docker rm fixture-images-lock"), "{text}");
}

/// `report` reads records, not tags.
#[test]
fn every_command_that_reads_tags_reports_a_pending_journal() {
    let found = json!([{"Id": "sha256:a", "RepoTags": ["fx-alpha:latest-simple-optimized"]}]).to_string();
    for command in [
        &["compare"][..],
        &["check"],
        &["analyze", "alpha"],
        &["why", "alpha"],
        &["test"],
        &["push", "--registry", "hub.example/t"],
        &["release-check", "--only", "labels"],
        &["compose-switch", "optimized", "--registry", "hub.example/t", "--pin"],
        &["measure"],
        &["deploy", "install"],
        &["clean", "--dry-run"],
    ] {
        let repository = on_stand_ins();
        let docker = FakeDocker::new()
            .on("container inspect -- fixture-images-lock", 0, &lock(None, "1"), "")
            .alive()
            .on("image inspect*", 1, &found, "Error: No such image: x\n")
            .on(
                "compose * config *",
                0,
                r#"{"name":"fixture","services":{"alpha":{"image":"fx-alpha:1"}}}"#,
                "",
            )
            .on("ps*", 0, "", "");
        let text = told(&docker.run(&repository, command), &repository);
        let note = "note: process 1 on far, in /b, since 1970-01-01T00:00:00Z, was killed while it moved 1 tag, which may be old or new\n\
                    help: `cargo xtask build-images` completes or reverts the moves\n";
        assert_eq!(text.matches(note).count(), 1, "{command:?}: {text}");
        let looks = docker.calls().into_iter().filter(|call| call.contains("images-lock")).count();
        // The tags are read again before and after Compose starts containers.
        assert_eq!(looks, if command == ["test"] { 3 } else { 1 }, "{command:?}");
    }
}
