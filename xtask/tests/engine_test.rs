//! Throwaway stacks on a real engine: several at once, gone whatever happens, and parity that a changed answer breaks.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod support;

use std::fs;
use std::process::Child;

use support::containers::{root, said};
use support::stack::Stack;
use support::told;

/// Projects of this checkout's throwaway stacks, running or not.
fn trials(stack: &Stack) -> Vec<String> {
    let folder = stack.folder.0.join("target/xtask/trials");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What the engine holds of a project.
fn holdings(project: &str) -> Vec<String> {
    let label = format!("label=com.docker.compose.project={project}");
    let of = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--quiet", "--filter", &label]);
        said(&all)
    };
    let all = [of(&["ps", "--all"]), of(&["volume", "ls"]), of(&["network", "ls"])];
    all.into_iter().filter(|text| !text.is_empty()).collect()
}

/// Starts a `test` and returns when its first container is there, with the project.
fn begun(stack: &Stack) -> (Child, String) {
    let before = trials(stack);
    let mut child = stack.command(&["test", "storage"]).spawn().unwrap();
    loop {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its stack was seen");
        let new = trials(stack).into_iter().find(|name| !before.contains(name));
        if let Some(project) = new.filter(|project| !holdings(project).is_empty()) {
            return (child, project);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    let number = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &number]).status().unwrap().success());
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_throwaway_stack_goes_when_the_run_ends_is_interrupted_or_was_killed() {
    let stack = Stack::new("trial");
    // Interrupted: the run itself cleans up, and says so by its exit code.
    let (mut child, project) = begun(&stack);
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(holdings(&project), [""; 0]);

    // Killed: the next run does it, beside its own.
    let (mut child, project) = begun(&stack);
    signal(&child, "KILL");
    child.wait().unwrap();
    assert!(!holdings(&project).is_empty(), "the kill came too late to leave anything");
    let output = stack.command(&["test", "storage"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    assert_eq!(holdings(&project), [""; 0]);
    assert_eq!(trials(&stack), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn two_at_once_do_not_disturb_each_other() {
    let stack = Stack::new("pair");
    let run = |service: &'static str| {
        let mut command = stack.command(&["test", service]);
        std::thread::spawn(move || command.output().unwrap())
    };
    let both = [run("storage"), run("client")].map(|thread| thread.join().unwrap());
    for output in both {
        assert!(output.status.success(), "{}", told(&output, &stack.folder));
    }
    assert_eq!(trials(&stack), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn recorded_answers_stand_in_for_originals_until_one_differs_or_the_sources_do() {
    let stack = Stack::new("parity");
    let committed = fs::read_to_string(root().join("xtask/parity/simple/storage.json")).unwrap();
    let parity = |record: &str| {
        stack.folder.write("xtask/parity/simple/storage.json", record);
        let output = stack.command(&["test", "storage", "--parity=recorded"]).output().unwrap();
        (output.status.code(), told(&output, &stack.folder))
    };
    let (code, text) = parity(&committed);
    assert_eq!(code, Some(0), "{text}");

    let answer = "\"text\":\"A probe called zephyria was here.\"}";
    assert!(committed.contains(answer));
    let (code, text) = parity(&committed.replace(answer, "\"text\":\"A probe called zephyria is gone.\"}"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("storage · get it: /text was \"A probe called zephyria is gone.\", is"), "{text}");

    let hash = committed.split("\"sources\": \"").nth(1).unwrap().split('"').next().unwrap();
    let (code, text) = parity(&committed.replace(hash, &"0".repeat(64)));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the record is stale: storage changed since"), "{text}");

    let (code, text) = parity("{");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is no record of answers: take it back from git, or record it anew"), "{text}");

    // Records come from originals that run, and from nowhere else.
    let output = stack.command(&["test", "storage", "--parity=recorded", "--record"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", told(&output, &stack.folder));
    assert_eq!(stack.folder.read("xtask/parity/simple/storage.json"), "{");
    let output = stack.command(&["test", "storage", "--parity", "--record"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    let fresh = stack.folder.read("xtask/parity/simple/storage.json");
    assert!(fresh.contains(hash) && fresh.contains(answer), "{fresh}");
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn images_that_are_not_here_are_named_with_what_builds_them() {
    let stack = Stack::new("missing");
    let output = stack.command(&["test", "api", "--tag", "9.9", "--edition", "community"]).output().unwrap();
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sutra-api:9.9-community-optimized") && !text.contains("sutra-client"), "{text}");
    assert!(text.contains("cargo xtask build-images"), "{text}");
    assert_eq!(trials(&stack), [""; 0]);
}
