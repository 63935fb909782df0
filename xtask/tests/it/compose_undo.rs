//! `compose-switch --undo`, and the records of a switch.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;
use std::time::Duration;

use host::files::Lock;
use host::paths::Repository;

use crate::compose_switch::{COMPOSE, done, run, with};
use crate::support::{FakeDocker, xtask};

#[test]
fn undo_restores_tag_registry_and_edition() {
    let repository = with(COMPOSE);
    done(&repository, "optimized --allow-missing --tag 2.0 --registry new.example/x --edition simple");
    let switched = repository.read("docker-compose.yml");
    assert!(switched.contains("\"new.example/x/fx-alpha:2.0-simple-optimized\""), "{switched}");
    assert!(done(&repository, "--undo").contains("restored docker-compose.yml"));
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
    assert!(done(&repository, "--undo").contains("nothing to undo"));
}

#[test]
fn references_of_an_earlier_switch_are_recognized() {
    let repository = with(COMPOSE);
    done(&repository, "optimized --allow-missing --registry new.example/x");
    done(&repository, "original --allow-missing");
    assert!(
        repository.read("docker-compose.yml").contains("new.example/x/fx-alpha:${SUTRA_VERSION:-latest}\"")
    );
    done(&repository, "--undo");
    assert!(
        repository
            .read("docker-compose.yml")
            .contains("new.example/x/fx-alpha:${SUTRA_VERSION:-latest}-optimized")
    );
    done(&repository, "original --allow-missing");
    assert!(
        repository.read("docker-compose.yml").contains("new.example/x/fx-alpha:${SUTRA_VERSION:-latest}\"")
    );
}

#[test]
fn undo_restores_the_files_of_a_half_finished_switch() {
    let repository = with(COMPOSE);
    let overriding = "services: {one: {image: 'fx-beta:1'}}\n";
    repository.write("docker-compose.override.yml", overriding);
    done(&repository, "optimized --allow-missing");
    // As if the run had been killed between the two files.
    repository.write("docker-compose.override.yml", overriding);
    assert!(done(&repository, "--undo").contains("restored docker-compose.yml\n"));
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
    assert_eq!(repository.read("docker-compose.override.yml"), overriding);
}

#[test]
fn undo_goes_back_one_switch_only() {
    let repository = with(COMPOSE);
    done(&repository, "optimized --allow-missing");
    let optimized = repository.read("docker-compose.yml");
    done(&repository, "original --tag 2.0 --allow-missing");
    // A run that changes nothing is not a switch.
    done(&repository, "original --tag 2.0 --allow-missing");
    done(&repository, "--undo");
    assert_eq!(repository.read("docker-compose.yml"), optimized);
    assert!(done(&repository, "--undo").contains("nothing to undo"));
    assert_eq!(repository.read("docker-compose.yml"), optimized);
}

#[test]
fn undo_refuses_files_that_changed_since_and_restores_none() {
    let repository = with(COMPOSE);
    repository.write("docker-compose.override.yml", "services: {one: {image: 'fx-beta:1'}}\n");
    done(&repository, "optimized --allow-missing");
    let journal = fs::metadata(repository.0.join("target/xtask/compose-switch.json")).unwrap();
    assert_eq!(journal.mode() & 0o777, 0o600);
    let switched = repository.read("docker-compose.yml");
    for edited in [switched.replace("none of ours", "mine"), format!("{switched}\n"), String::new()] {
        repository.write("docker-compose.yml", &edited);
        let (code, text) = run(&repository, "--undo");
        assert_eq!(code, 1, "{text}");
        assert!(
            text.contains("docker-compose.yml changed since the last switch") && text.contains("help: "),
            "{text}"
        );
        assert_eq!(repository.read("docker-compose.yml"), edited);
        assert!(repository.read("docker-compose.override.yml").contains("-optimized"), "a file was restored");
    }
    repository.write("docker-compose.yml", &switched);
    done(&repository, "--undo");
    assert_eq!(repository.read("docker-compose.yml"), COMPOSE);
}

#[test]
fn a_switch_killed_at_any_moment_can_be_undone() {
    let repository = with(COMPOSE);
    let docker = FakeDocker::new();
    let args = ["compose-switch", "optimized", "--allow-missing"];
    let mut switched = 0;
    // Kill each run a little later than the last, until they finish before the kill.
    for moment in 0.. {
        let mut running = xtask(&docker.folder.0.join("bin"), &repository, &args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(moment * 250));
        running.kill().unwrap();
        running.wait().unwrap();
        // A child that the killed run had not yet executed holds the lock a moment longer.
        drop(Lock::wait(&Repository::locate(Some(&repository.0)).unwrap().compose_lock()).unwrap());
        let now = repository.read("docker-compose.yml");
        assert!(now == COMPOSE || now.replace("-optimized", "") == COMPOSE, "after {moment}: {now}");
        switched += u32::from(now != COMPOSE);
        done(&repository, "--undo");
        assert_eq!(repository.read("docker-compose.yml"), COMPOSE, "after {moment}");
        if switched == 8 {
            return;
        }
    }
}
