//! SIGTERM, SIGINT and SIGHUP while a child runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{FakeDocker, on_stand_ins, signal};

/// A docker whose bake runs a script in its folder, where the script writes `ready` and `ended`.
fn docker(bake: &str) -> FakeDocker {
    let docker = FakeDocker::new().alive().nothing_built().on("image rm *", 0, "", "");
    let case = format!("cd \"$FAKE_DOCKER\"\ncase \"$*\" in \"buildx bake\"*) {bake};; esac\nfor args in");
    docker.folder.write("bin/docker", &docker.folder.read("bin/docker").replace("for args in", &case));
    symlink("/bin/sleep", docker.folder.0.join("bin/sleep")).unwrap();
    docker
}

/// Sleeps until a signal ends it, and records that in `ended`.
const SLEEP: &str = "trap 'echo ended >> ended; exit 1' TERM INT HUP; echo $$ > new; cat new > ready; while :; do sleep 0.01; done";

fn start(command: &mut Command, docker: &FakeDocker) -> Child {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while docker.folder.read("ready").trim().is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended before its child was ready");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn each_signal_ends_the_child_once_and_the_run() {
    for name in ["TERM", "INT", "HUP"] {
        let (repository, docker) = (on_stand_ins(), docker(SLEEP));
        let child = start(&mut docker.command(&repository, &["build-images"]), &docker);
        signal(name, child.id());
        let (code, stderr) = ended(child);
        assert_eq!(code, Some(130), "{name}: {stderr}");
        assert!(stderr.ends_with("error: interrupted\n"), "{name}: {stderr}");
        assert_eq!(docker.folder.read("ended"), "ended\n", "{name}");
    }
}

#[test]
fn a_second_signal_kills_a_child_that_does_not_end() {
    let (repository, docker) =
        (on_stand_ins(), docker(&SLEEP.replace("'echo ended >> ended; exit 1'", "''")));
    let mut child = start(&mut docker.command(&repository, &["build-images"]), &docker);
    // Signals that arrive together count as one.
    while child.try_wait().unwrap().is_none() {
        fs::exists(Path::new("/proc").join(child.id().to_string()))
            .unwrap()
            .then(|| signal("TERM", child.id()));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(ended(child).0, Some(130));
    let bake = docker.folder.read("ready");
    let stat = fs::read_to_string(Path::new("/proc").join(bake.trim()).join("stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "the child is still running: {stat}");
}

#[test]
fn a_second_hang_up_is_part_of_the_first() {
    let script = "trap '' HUP; trap 'cat > /dev/null < go; echo ended > ended; exit 1' TERM; mkfifo go; echo x > ready; \
                  while :; do sleep 0.01; done";
    let (repository, docker) = (on_stand_ins(), docker(script));
    symlink("/usr/bin/mkfifo", docker.folder.0.join("bin/mkfifo")).unwrap();
    let child = start(&mut docker.command(&repository, &["build-images"]), &docker);
    for _ in 0..20 {
        signal("HUP", child.id());
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::write(docker.folder.0.join("go"), "").unwrap();
    assert_eq!(ended(child).0, Some(130));
    assert_eq!(docker.folder.read("ended"), "ended\n", "it was killed");
}

#[test]
fn a_hang_up_that_is_ignored_ends_nothing() {
    let (repository, docker) = (on_stand_ins(), docker(SLEEP));
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP; exec \"$0\" build-images --root \"$1\""]);
    shell
        .arg(env!("CARGO_BIN_EXE_xtask"))
        .arg(&repository.0)
        .env_clear()
        .env("PATH", docker.folder.0.join("bin"))
        .env("FAKE_DOCKER", &docker.folder.0);
    let mut child = start(&mut shell, &docker);
    // proc(5): a mask of ignored signals; SIGHUP is the lowest bit.
    let status = fs::read_to_string(Path::new("/proc").join(child.id().to_string()).join("status")).unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & 1, 1, "{status}");
    signal("TERM", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_child_ends_with_a_killed_run() {
    let (repository, docker) = (on_stand_ins(), docker(SLEEP));
    let mut child = start(&mut docker.command(&repository, &["build-images"]), &docker);
    signal("KILL", child.id());
    assert_eq!(child.wait().unwrap().code(), None);
    while docker.folder.read("ended") != "ended\n" {
        std::thread::sleep(Duration::from_millis(5));
    }
}
