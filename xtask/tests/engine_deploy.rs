//! The stack of the repository's own Compose file on a real engine, beside any other: own project, own ports, own `.env`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Output};

use support::containers::{root, said};
use support::{Folder, told};

/// A checkout of its own with this repository's manifest and Compose file; its stack goes when the test ends.
struct Stack {
    folder: Folder,
    project: String,
}

impl Stack {
    fn new(test: &str) -> Stack {
        let folder = Folder::new();
        folder.write("xtask/images.toml", &fs::read_to_string(root().join("xtask/images.toml")).unwrap());
        folder.write("docker-compose.yml", &fs::read_to_string(root().join("docker-compose.yml")).unwrap());
        symlink(root().canonicalize().unwrap().join("packages"), folder.0.join("packages")).unwrap();
        Stack { folder, project: format!("xt-{test}-{}", std::process::id()) }
    }

    fn deploy(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("deploy").args(args).arg("--root").arg(&self.folder.0);
        for name in ["SUTRA_EDITION", "SUTRA_VERSION", "SUTRA_PULL_POLICY"] {
            command.env_remove(name);
        }
        command.env("COMPOSE_PROJECT_NAME", &self.project);
        // Any free port: what is published is not asked for here.
        let compose = self.folder.read("docker-compose.yml");
        for name in compose.split("${").filter_map(|rest| rest.split_once(":-")).map(|(name, _)| name) {
            if name.ends_with("_PORT") {
                command.env(name, "0");
            }
        }
        command.envs(variables.iter().copied()).output().unwrap()
    }

    fn done(&self, args: &[&str]) -> String {
        let output = self.deploy(args, &[]);
        let text = told(&output, &self.folder);
        assert!(output.status.success(), "{text}");
        text
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.deploy(&["down", "--volumes"], &[]);
    }
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn the_stack_rises_is_told_apart_and_keeps_its_data() {
    let stack = Stack::new("stack");
    let text = stack.done(&["install"]);
    assert!(text.contains("all 8 services are healthy"), "{text}");

    // The secrets were made, once, for their owner alone, and nothing prints them.
    let env = stack.folder.read(".env");
    let mode = fs::metadata(stack.folder.0.join(".env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for line in env.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.split_once('=').unwrap();
        assert!(!text.contains(value.trim_matches('\'')), "a secret was printed");
    }
    stack.done(&["status"]);

    // What ended is named, and only that is started again.
    let of = |service: &str| {
        let project = format!("label=com.docker.compose.project={}", stack.project);
        let service = format!("label=com.docker.compose.service={service}");
        said(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &project, "--filter", &service])
    };
    let (storage, client) = (of("storage-server"), of("sutra-client"));
    said(&["stop", &client]);
    let output = stack.deploy(&["status"], &[]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not healthy: sutra-client"), "{text}");
    stack.done(&["update"]);
    assert_eq!(of("storage-server"), storage, "what did not change was replaced");
    assert_eq!(stack.folder.read(".env"), env, "secrets were made anew");

    // Data stays until it is said otherwise.
    stack.done(&["down"]);
    let volume = format!("{}_concepts", stack.project);
    said(&["volume", "inspect", &volume]);
    stack.done(&["down", "--volumes"]);
    assert!(!support::containers::docker(&["volume", "inspect", &volume]).status.success());
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_service_that_does_not_start_is_named_with_its_last_words() {
    let stack = Stack::new("unwell");
    let output = stack.deploy(&["install"], &[("SUTRA_CONTROL_USERS", "this is no entry")]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("not healthy: ") && text.contains("sutra-control (ended), image sutra-control:"),
        "{text}"
    );
    assert!(text.contains("SUTRA_CONTROL_USERS"), "its log is not shown: {text}");
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_tag_that_was_never_built_is_refused_before_anything_starts() {
    let stack = Stack::new("absent");
    let output = stack.deploy(&["install", "--tag", "9.9-optimized", "--edition", "community"], &[]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sutra-api:9.9-community-optimized"), "{text}");
    assert!(!stack.folder.0.join(".env").exists(), "secrets were made for nothing");
}
