//! Throwaway stacks on a real engine: several at once, always removed; and parity, which a changed answer breaks.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use crate::support::containers::{docker, root, said};
use crate::support::stack::Stack;
use crate::support::{Folder, share_bases, told, wait};

/// The projects of this checkout's throwaway stacks, running or not.
fn throwaway_stacks(stack: &Stack) -> Vec<String> {
    let folder = stack.folder.0.join("target/xtask/trials");
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The containers, volumes and networks of a project.
fn resources(project: &str) -> Vec<String> {
    let label = format!("label=com.docker.compose.project={project}");
    let of = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--quiet", "--filter", &label]);
        said(&all)
    };
    let all = [of(&["ps", "--all"]), of(&["volume", "ls"]), of(&["network", "ls"])];
    all.into_iter().filter(|text| !text.is_empty()).collect()
}

/// Starts a `test` and waits for its first resource. Returns the project too.
fn start(stack: &Stack) -> (Child, String) {
    let before = throwaway_stacks(stack);
    let mut child = stack.command(&["test", "storage"]).process_group(0).spawn().unwrap();
    loop {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its stack appeared");
        let new = throwaway_stacks(stack).into_iter().find(|name| !before.contains(name));
        if let Some(project) = new.filter(|project| !resources(project).is_empty()) {
            return (child, project);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Sends a signal to a process or its whole group.
fn signal(child: &Child, name: &str, to_group: bool) {
    let number = format!("{}{}", if to_group { "-" } else { "" }, child.id());
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} -- {number}")]).status().unwrap();
    assert!(sent.success());
}

/// A wrapper of docker that blocks the removal of containers until it is released.
struct SlowRemoval(Folder);

impl SlowRemoval {
    fn new() -> SlowRemoval {
        let folder = Folder::new();
        let here = folder.0.display();
        let real = output_of("command -v docker");
        folder.write(
            "docker",
            &format!(
                "#!/bin/sh\nif [ \"$1 $2\" = \"rm --force\" ]; then\n\ttouch {here}/removing\n\
                 \twhile [ -d {here} ] && [ ! -e {here}/go ]; do sleep 0.05; done\nfi\nexec {real} \"$@\"\n"
            ),
        );
        fs::set_permissions(folder.0.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        SlowRemoval(folder)
    }

    /// Starts a `test` with this docker, in its own process group as a shell would.
    fn spawn(&self, stack: &Stack) -> Child {
        let path = format!("{}:{}", self.0.0.display(), std::env::var("PATH").unwrap());
        stack.command(&["test", "storage"]).env("PATH", path).process_group(0).spawn().unwrap()
    }

    fn wait_for_removal(&self, child: &mut Child) {
        while !self.0.0.join("removing").exists() {
            assert!(child.try_wait().unwrap().is_none(), "the run ended without removing anything");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn release(&self) {
        self.0.write("go", "");
    }
}

fn output_of(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_throwaway_stack_is_removed_after_an_interrupt_or_a_kill() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("throwaway");
    // Ctrl-C, then a closed terminal: the run itself cleans up and exits with 130.
    for (name, to_group) in [("INT", true), ("HUP", false)] {
        let (mut child, project) = start(&stack);
        signal(&child, name, to_group);
        assert_eq!(child.wait().unwrap().code(), Some(130), "{name}");
        assert_eq!(resources(&project), [""; 0], "{name}");
        assert_eq!(throwaway_stacks(&stack), [""; 0], "{name}");
    }

    // Killed: the next run cleans up; also for a killed run whose checkout was deleted.
    let gone = Stack::new("gone");
    let left = [&stack, &gone].map(|stack| {
        let (mut child, project) = start(stack);
        signal(&child, "KILL", true);
        child.wait().unwrap();
        assert!(!resources(&project).is_empty(), "the kill came too late");
        project
    });
    fs::remove_dir_all(&gone.folder.0).unwrap();
    let output = stack.command(&["test", "storage"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    for project in left {
        assert_eq!(resources(&project), [""; 0]);
    }
    assert_eq!(throwaway_stacks(&stack), [""; 0]);
    // Dropping it would need its checkout.
    std::mem::forget(gone);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_removal_is_never_interrupted() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("removal");
    // Ctrl-C reaches the whole process group.
    let docker = SlowRemoval::new();
    let mut child = docker.spawn(&stack);
    docker.wait_for_removal(&mut child);
    let project = throwaway_stacks(&stack).pop().unwrap();
    signal(&child, "INT", true);
    docker.release();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!((resources(&project), throwaway_stacks(&stack)), (vec![], vec![]));

    // Another run does not touch a stack that is being removed.
    let docker = SlowRemoval::new();
    let mut child = docker.spawn(&stack);
    docker.wait_for_removal(&mut child);
    let project = throwaway_stacks(&stack).pop().unwrap();
    let output = stack.command(&["test", "storage"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    assert!(!resources(&project).is_empty() && throwaway_stacks(&stack) == [project]);
    docker.release();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(throwaway_stacks(&stack), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn resources_of_other_stacks_are_not_touched() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("names");
    let (name, compose) = (format!("{}-kept", stack.project), stack.folder.read("docker-compose.yml"));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let change = |text: String, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let text = change(compose, "  concepts: {}", &format!("  concepts: {{ name: {name} }}"));
    let text = change(text, "  sutra: {}", &format!("  sutra: {{ name: {name} }}"));
    let text = change(
        text,
        "  storage-server:\n    <<: *service\n",
        &format!(
            "  other:\n    <<: *service\n    image: sutra-client:latest-optimized\n    tmpfs: [/tmp]\n    \
             ports: [\"127.0.0.1:{}:8080\"]\n\n  storage-server:\n    <<: *service\n    container_name: {name}\n    \
             depends_on: [other]\n",
            taken.local_addr().unwrap().port()
        ),
    );
    stack.folder.write("docker-compose.yml", &text);

    // Data, network and container of someone else.
    let image = "sutra-storage-server:latest-optimized";
    said(&["network", "create", &name]);
    said(&["create", "--name", &name, "--volume", &format!("{name}:/data"), image]);
    let output = stack.command(&["test", "storage"]).output().unwrap();
    let text = told(&output, &stack.folder);
    let kinds = [&["rm", "--force"][..], &["network", "rm"], &["volume", "rm"]];
    let there = kinds.map(|kind| docker(&[kind, &[&name]].concat()));
    assert!(output.status.success(), "{text}");
    for removed in there {
        assert_eq!(String::from_utf8_lossy(&removed.stdout).trim(), name, "{removed:?}");
    }
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_stack_test_starts_with_an_empty_folder_and_is_removed_with_its_stack() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("test");
    // A manifest with one service: a small stack that starts quickly.
    let manifest = stack.folder.read("xtask/images.toml");
    let (head, tables) = manifest.split_once("\n[").unwrap();
    let is_wanted = |table: &&str| {
        let others =
            ["service.", "[service.", "[scenario.", "[load.", "bound]", "stack-test.", "[opportunities."];
        table.contains("service.storage") || !others.iter().any(|other| table.starts_with(other))
    };
    let tables: Vec<&str> = tables.split("\n[").filter(is_wanted).collect();
    let head = head.replace("project = \"sutra\"", &format!("project = \"{}\"", stack.project));
    let own = "stack-test.waits]\ndockerfile = \"waits/Dockerfile\"\n";
    stack.folder.write("xtask/images.toml", &format!("{head}\n[{}\n[{own}", tables.join("\n[")));
    stack.folder.write("waits/Dockerfile.dockerignore", "*\n");
    let program = "ls -A /out | grep . && exit 1; touch /out/ready; exec sleep 1000";
    let text = format!("FROM debian:trixie-slim\nCMD [\"sh\", \"-c\", \"{program}\"]\n");
    stack.folder.write("waits/Dockerfile", &text);
    share_bases(&stack.folder);
    let out = "target/xtask/stack-tests/waits/optimized";
    stack.folder.write(&format!("{out}/old.png"), "");
    let test = |args: &[&str]| {
        let mut command = stack.command(&[&["test"], args].concat());
        command.env("SUTRA_API_KEYS", "of no service here").env("SUTRA_CONTROL_USERS", "of none either");
        command
    };
    let mut child = test(&["--stack-tests"]).spawn().unwrap();
    wait::until("the stack test runs", || {
        let output = || stack.folder.read(&format!("{out}/output.txt"));
        assert!(child.try_wait().unwrap().is_none(), "it ended at once: {}", output());
        stack.folder.0.join(out).join("ready").exists()
    });
    assert!(!stack.folder.0.join(out).join("old.png").exists());
    let project = throwaway_stacks(&stack).pop().unwrap();
    said(&["inspect", &format!("{project}-waits")]);
    signal(&child, "KILL", false);
    wait::end(&mut child);
    let output = test(&["storage"]).output().unwrap();
    docker(&["image", "rm", &format!("{}-stack-test-waits", stack.project)]);
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    assert!(!docker(&["inspect", &format!("{project}-waits")]).status.success());
    assert_eq!(resources(&project), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn two_runs_do_not_disturb_each_other() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("pair");
    let run = |service: &'static str| {
        let mut command = stack.command(&["test", service]);
        std::thread::spawn(move || command.output().unwrap())
    };
    let both = [run("storage"), run("client")].map(|thread| thread.join().unwrap());
    for output in both {
        assert!(output.status.success(), "{}", told(&output, &stack.folder));
    }
    assert_eq!(throwaway_stacks(&stack), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn recorded_answers_replace_originals_until_an_answer_or_the_sources_change() {
    let _turn = crate::support::turn::take(module_path!());
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
    assert!(
        text.contains("storage · get the concept: /text was \"A probe called zephyria is gone.\", is"),
        "{text}"
    );

    let hash = committed.split("\"sources\": \"").nth(1).unwrap().split('"').next().unwrap();
    let (code, text) = parity(&committed.replace(hash, &"0".repeat(64)));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the record is stale: storage changed since"), "{text}");

    let (code, text) = parity("{");
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is not a valid record (restore it with git, or record"), "{text}");

    // Only running originals can be recorded.
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
fn missing_images_are_listed_with_the_build_command() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("missing");
    let output = stack.command(&["test", "api", "--tag", "9.9", "--edition", "community"]).output().unwrap();
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sutra-api:9.9-community-optimized") && !text.contains("sutra-client"), "{text}");
    assert!(text.contains("cargo xtask build-images"), "{text}");
    assert_eq!(throwaway_stacks(&stack), [""; 0]);
}
