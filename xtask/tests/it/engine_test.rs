//! Throwaway stacks on a real engine: several at once, gone whatever happens, and parity that a changed answer breaks.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use crate::support::containers::{docker, root, said};
use crate::support::stack::Stack;
use crate::support::wait;
use crate::support::{Folder, share_bases, told};

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
    let mut child = stack.command(&["test", "storage"]).process_group(0).spawn().unwrap();
    let project = wait::until_some("the stack has a container", || {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before its stack was seen");
        let new = trials(stack).into_iter().find(|name| !before.contains(name));
        new.filter(|project| !holdings(project).is_empty())
    });
    (child, project)
}

/// Sends a signal to a process, or to all of its group.
fn signal(child: &Child, name: &str, to_group: bool) {
    let number = format!("{}{}", if to_group { "-" } else { "" }, child.id());
    let sent = Command::new("sh").args(["-c", &format!("kill -s {name} -- {number}")]).status().unwrap();
    assert!(sent.success());
}

/// A docker that stands before the real one and waits, before it removes containers, until it is let go.
struct SlowRemoval(Folder);

impl SlowRemoval {
    fn new() -> SlowRemoval {
        let folder = Folder::new();
        let here = folder.0.display();
        let real = said_by("command -v docker");
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

    /// A `test` with this docker, in a process group of its own as a shell would start it.
    fn spawn(&self, stack: &Stack) -> Child {
        let path = format!("{}:{}", self.0.0.display(), std::env::var("PATH").unwrap());
        stack.command(&["test", "storage"]).env("PATH", path).process_group(0).spawn().unwrap()
    }

    fn wait_until_it_removes(&self, child: &mut Child) {
        wait::until("the removal begins", || {
            assert!(child.try_wait().unwrap().is_none(), "the run ended and removed nothing");
            self.0.0.join("removing").exists()
        });
    }

    fn let_go(&self) {
        self.0.write("go", "");
    }
}

fn said_by(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_throwaway_stack_goes_when_the_run_ends_is_interrupted_or_was_killed() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("trial");
    // Interrupted as a terminal does it, then by its end: the run itself cleans up, and says so by its exit code.
    for (name, to_group) in [("INT", true), ("HUP", false)] {
        let (mut child, project) = begun(&stack);
        signal(&child, name, to_group);
        assert_eq!(wait::end(&mut child).code(), Some(130), "{name}");
        assert_eq!(holdings(&project), [""; 0], "{name}");
        assert_eq!(trials(&stack), [""; 0], "{name}");
    }

    // Killed: the next run does it, beside its own; a run of another checkout too, where that of the killed one is gone.
    let gone = Stack::new("gone");
    let left = [&stack, &gone].map(|stack| {
        let (mut child, project) = begun(stack);
        signal(&child, "KILL", true);
        wait::end(&mut child);
        assert!(!holdings(&project).is_empty(), "the kill came too late to leave anything");
        project
    });
    fs::remove_dir_all(&gone.folder.0).unwrap();
    let output = stack.command(&["test", "storage"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    for project in left {
        assert_eq!(holdings(&project), [""; 0]);
    }
    assert_eq!(trials(&stack), [""; 0]);
    // Its `down` wants a checkout.
    std::mem::forget(gone);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_removal_that_has_begun_goes_to_its_end() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("removal");
    // Ctrl-C reaches all of the terminal's group.
    let docker = SlowRemoval::new();
    let mut child = docker.spawn(&stack);
    docker.wait_until_it_removes(&mut child);
    let project = trials(&stack).pop().unwrap();
    signal(&child, "INT", true);
    docker.let_go();
    assert_eq!(wait::end(&mut child).code(), Some(130));
    assert_eq!((holdings(&project), trials(&stack)), (vec![], vec![]));

    // Another run's sweep leaves alone what is being removed.
    let docker = SlowRemoval::new();
    let mut child = docker.spawn(&stack);
    docker.wait_until_it_removes(&mut child);
    let project = trials(&stack).pop().unwrap();
    let output = stack.command(&["test", "storage"]).output().unwrap();
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    assert!(!holdings(&project).is_empty() && trials(&stack) == [project]);
    docker.let_go();
    assert_eq!(wait::end(&mut child).code(), Some(0));
    assert_eq!(trials(&stack), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn names_and_ports_of_others_are_left_alone() {
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

    // Somebody's data, network and container.
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
fn a_stack_test_begins_with_an_empty_folder_and_goes_with_its_stack() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("test");
    // One service is a whole stack too, and quickly raised.
    let manifest = stack.folder.read("xtask/images.toml");
    let (head, tables) = manifest.split_once("\n[").unwrap();
    let is_wanted = |table: &&str| {
        let others = ["service.", "[service.", "[scenario.", "stack-test.", "[opportunities."];
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
    let project = trials(&stack).pop().unwrap();
    said(&["inspect", &format!("{project}-waits")]);
    signal(&child, "KILL", false);
    wait::end(&mut child);
    let output = test(&["storage"]).output().unwrap();
    docker(&["image", "rm", &format!("{}-stack-test-waits", stack.project)]);
    assert!(output.status.success(), "{}", told(&output, &stack.folder));
    assert!(!docker(&["inspect", &format!("{project}-waits")]).status.success());
    assert_eq!(holdings(&project), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn two_at_once_do_not_disturb_each_other() {
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
    assert_eq!(trials(&stack), [""; 0]);
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn recorded_answers_stand_in_for_originals_until_one_differs_or_the_sources_do() {
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
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("missing");
    let output = stack.command(&["test", "api", "--tag", "9.9", "--edition", "community"]).output().unwrap();
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sutra-api:9.9-community-optimized") && !text.contains("sutra-client"), "{text}");
    assert!(text.contains("cargo xtask build-images"), "{text}");
    assert_eq!(trials(&stack), [""; 0]);
}
