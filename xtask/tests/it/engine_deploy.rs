//! The stack of the repository's own Compose file on a real engine, beside any other: own project, own ports, own `.env`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::containers::said;
use crate::support::stack::Stack;
use crate::support::told;

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn deploy_starts_updates_and_removes_the_stack() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("stack");
    // With a umask that hides files from others.
    let install = stack.command(&["deploy", "install"]);
    let mut careful = Command::new("sh");
    careful.args(["-c", "umask 077; exec \"$0\" \"$@\""]).arg(install.get_program()).args(install.get_args());
    for (name, value) in install.get_envs() {
        careful.env(name, value.unwrap_or_default());
    }
    let output = careful.output().unwrap();
    let text = told(&output, &stack.folder);
    assert!(output.status.success() && text.contains("all 8 services are healthy"), "{text}");

    // Secrets are generated once, readable by their owner only, and never printed.
    let env = stack.folder.read(".env");
    let mode = fs::metadata(stack.folder.0.join(".env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for line in env.lines().filter(|line| !line.starts_with('#')) {
        let (_, value) = line.split_once('=').unwrap();
        assert!(!text.contains(value.trim_matches('\'')), "a secret was printed");
    }
    stack.done(&["status"]);

    // control can read the record of deployed images.
    let read = "import json; print(len(json.load(open('/deployed/images.json'))['images']))";
    assert_eq!(said(&["exec", &stack.container("sutra-control"), "python", "-c", read]), "8");

    // A stopped service is reported, and `update` restarts only that one.
    let (storage, client) = (stack.container("storage-server"), stack.container("sutra-client"));
    said(&["stop", &client]);
    let output = stack.deploy(&["status"], &[]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not healthy: sutra-client"), "{text}");
    stack.done(&["update"]);
    assert_eq!(stack.container("storage-server"), storage, "an unchanged container was replaced");
    assert_eq!(stack.folder.read(".env"), env, "secrets were generated again");

    // `down` keeps the data unless told otherwise.
    stack.done(&["down"]);
    let volume = format!("{}_concepts", stack.project);
    said(&["volume", "inspect", &volume]);
    stack.done(&["down", "--volumes"]);
    assert!(!crate::support::containers::docker(&["volume", "inspect", &volume]).status.success());

    // A missing folder fails, so that the engine does not create it as root.
    let deployed = stack.folder.0.join("target/xtask/deployed");
    fs::remove_dir_all(&deployed).unwrap();
    let output = stack.docker(&["compose", "up", "--detach", "--no-deps", "sutra-control"]);
    let text = told(&output, &stack.folder);
    assert!(!output.status.success() && text.contains("/target/xtask/deployed"), "{text}");
    assert!(!deployed.exists());
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn a_service_that_does_not_start_is_reported_with_its_log() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("unwell");
    let output = stack.deploy(&["install"], &[("SUTRA_CONTROL_USERS", "this is no entry")]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    // On a busy machine, others may still be starting. The engine restarts it: whether its exit code is known depends on timing.
    let first = text.lines().find(|line| line.starts_with("error: not healthy: "));
    assert!(first.is_some_and(|names| names.ends_with("sutra-control")), "{text}");
    let states = ["restarting, exit code 2", "crash loop, exit code 2", "crash loop", "ended, exit code 2"];
    let is_known =
        |state: &&str| text.contains(&format!("\n  sutra-control ({state}), image sutra-control:"));
    assert!(states.iter().any(is_known), "{text}");
    assert!(text.contains("SUTRA_CONTROL_USERS"), "its log is not shown: {text}");
    // A failed deployment is not recorded.
    assert!(!stack.folder.0.join("target/xtask/deployed/images.json").exists());
}

#[test]
#[ignore = "needs built images: cargo xtask ci"]
fn missing_images_are_refused_before_anything_starts() {
    let _turn = crate::support::turn::take(module_path!());
    let stack = Stack::new("absent");
    let output = stack.deploy(&["install", "--tag", "9.9-optimized", "--edition", "community"], &[]);
    let text = told(&output, &stack.folder);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("sutra-api:9.9-community-optimized"), "{text}");
    assert!(!stack.folder.0.join(".env").exists(), "secrets were generated for nothing");
}
