//! Every class of failure through every command that can meet it: exit code, and a `help:` line where something can be done.

use host::files::Lock;

use crate::support::{FakeDocker, Folder, bare_machine, repository, told, xtask};

/// Every command, with the least that it takes.
const COMMANDS: [&[&str]; 18] = [
    &["build-images"],
    &["compare"],
    &["analyze", "alpha"],
    &["why", "alpha"],
    &["compose-switch", "optimized"],
    &["deploy", "status"],
    &["doctor"],
    &["measure"],
    &["smoke-test"],
    &["test"],
    &["push", "--registry", "hub.example/t"],
    &["clean"],
    &["check"],
    &["estimate", "--changed-since", "HEAD"],
    &["report"],
    &["release-check"],
    &["ci"],
    &["completions", "bash"],
];

/// The items of a release that ask the engine.
const RELEASE: &[&str] = &["release-check", "--only", "targets,secrets,labels,smoke"];

/// Commands that read files alone.
const NO_ENGINE: [&str; 3] = ["compose-switch", "report", "completions"];

/// A repository with a Compose file, for commands that read one.
fn on_stand_ins() -> Folder {
    let repository = crate::support::on_stand_ins();
    repository.write("docker-compose.yml", "services:\n  alpha:\n    image: fx-alpha:latest-optimized\n");
    repository
}

/// A docker whose every call but the first questions fails with this text.
fn failing(text: &str) -> FakeDocker {
    FakeDocker::new()
        .alive()
        .on("buildx version*", 0, "github.com/docker/buildx 0.13.1 x\n", "")
        .on("*", 1, "", text)
}

#[track_caller]
fn exits(docker: &FakeDocker, repository: &Folder, args: &[&str], code: i32) -> String {
    let output = docker.run(repository, args);
    let text = told(&output, repository);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
    text
}

#[test]
fn wrong_usage_exits_2() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    for command in COMMANDS {
        exits(&docker, &repository, &[command, &["--no-such-option"]].concat(), 2);
    }
    for command in ["build-images", "compare", "measure", "smoke-test", "test", "push", "clean", "check"] {
        let text = exits(&docker, &repository, &[command, "alhpa"], 2);
        assert!(text.contains("alpha"), "{text}");
    }
    assert_eq!(docker.calls(), [""; 0]);
}

#[test]
fn an_invalid_manifest_exits_2() {
    let (repository, docker) = (repository("fx"), FakeDocker::new());
    repository.write("xtask/images.toml", "schema = 1\nproject = 7\n");
    for command in COMMANDS {
        let text = exits(&docker, &repository, command, 2);
        assert!(text.contains("xtask/images.toml:2"), "{text}");
    }
}

#[test]
fn a_machine_without_an_engine_exits_3_with_help() {
    let (repository, machine) = (on_stand_ins(), bare_machine());
    for command in COMMANDS.iter().filter(|command| !NO_ENGINE.contains(&command[0])) {
        let command = if command[0] == "release-check" { RELEASE } else { command };
        let output = xtask(&machine.0, &repository, command).env("CARGO", "/bin/true").output().unwrap();
        let text = told(&output, &repository);
        assert_eq!(output.status.code(), Some(3), "{command:?}: {text}");
        assert!(text.contains("help: "), "{command:?}: {text}");
    }
}

#[test]
fn a_checkout_in_use_exits_3_with_help() {
    for (lock, command) in [
        ("build.lock", &["build-images"][..]),
        ("push.lock", &["push", "--registry", "hub.example/t"]),
        ("compose-switch.lock", &["compose-switch", "original"]),
    ] {
        // A repository each: processes that other tests start hold a copy of the lock for a moment.
        let repository = on_stand_ins();
        let docker = FakeDocker::new().alive().on("image inspect*", 0, "[]", "");
        let _held = Lock::take(&repository.0.join("target/xtask").join(lock)).unwrap();
        let text = exits(&docker, &repository, command, 3);
        assert!(text.contains("help: "), "{command:?}: {text}");
    }
}

#[test]
fn dockers_errors_exit_by_their_class() {
    for (text, code) in [
        ("Error response from daemon: write /var/lib/docker/x: no space left on device", 3),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            3,
        ),
        (
            "Error response from daemon: Get http://h/: dial tcp 127.0.0.1:5000: connect: connection refused",
            3,
        ),
        ("Error response from daemon: Get https://h/: x509: certificate signed by unknown authority", 3),
        ("Error response from daemon: toomanyrequests: You have reached your pull rate limit", 3),
        ("Error response from daemon: something else", 1),
    ] {
        for command in ["build-images", "compare", "analyze", "why", "test", "push", "clean", "check", "ci"] {
            let args: &[&str] = match command {
                "analyze" | "why" => &[command, "alpha"],
                "push" => &[command, "--registry", "hub.example/t"],
                _ => &[command],
            };
            let repository = on_stand_ins();
            let docker = failing(text);
            let path = docker.folder.0.join("bin");
            let mut run = xtask(&path, &repository, args);
            let output = run.env("FAKE_DOCKER", &docker.folder.0).env("CARGO", "/bin/true").output().unwrap();
            let text = told(&output, &repository);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        }
    }
}
