//! The stack of the repository's own Compose file on a real engine, beside any other: own project, own ports, own `.env`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::containers::said;
use crate::support::stack::Stack;
use crate::support::told;

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn the_stack_rises_is_told_apart_and_keeps_its_data() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("stack");
    // By somebody whose files are nobody else's business.
    let install = stack.command(&["deploy", "install"]);
    let mut careful = Command::new("sh");
    careful.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(install.get_program()).args(install.get_args());
    for (name, value) in install.get_envs() {
        careful.env(name, value.unwrap_or_default());
    }
    let output = careful.output().unwrap();
    let text = told(&output, &stack.folder);
    assert!(output.status.success() && text.contains("all 8 services are healthy"), "{text}");

    // The secrets were made, once, for their owner alone, and nothing prints them.
    let env = stack.folder.read(".env");
    let mode = fs::metadata(stack.folder.0.join(".env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for line in env.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.split_once('=').unwrap();
        assert!(!text.contains(value.trim_matches('\'')), "a secret was printed");
    }
    stack.done(&["status"]);

    // control can read what was deployed.
    let read = "import json; print(len(json.load(open('/deployed/images.json'))['images']))";
    assert_eq!(said(&["exec", &stack.container("sutra-control"), "python", "-c", read]), "8");

    // What ended is named, and only that is started again.
    let (storage, client) = (stack.container("storage-server"), stack.container("sutra-client"));
    said(&["stop", &client]);
    let output = stack.deploy(&["status"], &[]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not healthy: sutra-client"), "{text}");
    stack.done(&["update"]);
    assert_eq!(stack.container("storage-server"), storage, "what did not change was replaced");
    assert_eq!(stack.folder.read(".env"), env, "secrets were made anew");

    // Data stays until it is said otherwise.
    stack.done(&["down"]);
    let volume = format!("{}_concepts", stack.project);
    said(&["volume", "inspect", &volume]);
    stack.done(&["down", "--volumes"]);
    assert!(!crate::support::containers::docker(&["volume", "inspect", &volume]).status.success());

    // What was not prepared fails, rather than that the engine leaves a folder of root's behind.
    let deployed = stack.folder.0.join("target/xtask/deployed");
    fs::remove_dir_all(&deployed).unwrap();
    let output = stack.docker(&["compose", "up", "--detach", "--no-deps", "sutra-control"]);
    let text = told(&output, &stack.folder);
    assert!(!output.status.success() && text.contains("/target/xtask/deployed"), "{text}");
    assert!(!deployed.exists());
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_service_that_does_not_start_is_named_with_its_last_words() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("unwell");
    let output = stack.deploy(&["install"], &[("SUTRA_CONTROL_USERS", "this is no entry")]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("not healthy: ") && text.contains("sutra-control (ended), image sutra-control:"),
        "{text}"
    );
    assert!(text.contains("SUTRA_CONTROL_USERS"), "its log is not shown: {text}");
    // What did not rise was not deployed.
    assert!(!stack.folder.0.join("target/xtask/deployed/images.json").exists());
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_tag_that_was_never_built_is_refused_before_anything_starts() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("absent");
    let output = stack.deploy(&["install", "--tag", "9.9-optimized", "--edition", "community"], &[]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sutra-api:9.9-community-optimized"), "{text}");
    assert!(!stack.folder.0.join(".env").exists(), "secrets were made for nothing");
}
