//! The `cargo xtask` commands that the guide's scripts run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::Folder;

/// A cargo that prints its command line and fails if that contains `$FAIL` (default: `fail`).
const CARGO: &str = "#!/bin/sh\necho \"cargo $*\"\ncase \"$*\" in *${FAIL:-fail}*) exit 7;; esac\n";

/// Runs a script with [`CARGO`] and these variables, from another folder.
fn run(script: &str, line: &str, variables: &[(&str, &str)]) -> Output {
    let folder = Folder::new();
    folder.write("bin/cargo", CARGO);
    let cargo = folder.0.join("bin/cargo");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(script);
    let path = format!("{}:/usr/bin:/bin", cargo.parent().unwrap().display());
    let mut command = Command::new(script);
    command.args(line.split_whitespace()).current_dir(&folder.0).env_clear().env("PATH", path);
    command.envs(variables.iter().copied()).output().unwrap()
}

fn calls(script: &str, line: &str, variables: &[(&str, &str)]) -> String {
    let output = run(script, line, variables);
    assert!(output.status.success(), "{script} {line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().replace("cargo xtask ", "").trim_end().replace('\n', "; ")
}

const IMAGES: &str = "scripts/optimize-images.sh";
const DEPLOY: &str = "sutra-deploy.sh";

#[test]
fn every_command_of_optimize_images() {
    for (line, call) in [
        ("build-all --edition simple", "build-images --edition simple"),
        ("build-all --edition simple --parallel", "build-images --edition simple"),
        ("--parallel build-all", "build-images"),
        ("build embedding --no-cache", "build-images embedding --no-cache"),
        ("build embedding nlg --parallel --push", "build-images embedding nlg --push"),
        ("compare --format json", "compare --format json"),
        ("analyze embedding --parallel", "analyze embedding"),
        ("test", "test"),
        ("clean", "clean"),
        // xtask suggests the nearest command.
        ("biuld", "biuld"),
    ] {
        assert_eq!(calls(IMAGES, line, &[]), call, "{line}");
    }
}

#[test]
fn variables_of_optimize_images() {
    let all = [("NO_CACHE", "true"), ("PARALLEL", "true"), ("PUSH_IMAGES", "true")];
    let none = [("NO_CACHE", "false"), ("PARALLEL", "false"), ("PUSH_IMAGES", "")];
    for (line, variables, call) in [
        ("build-all", &all, "build-images --no-cache --push"),
        ("build api", &all, "build-images api --no-cache --push"),
        ("build api --push --no-cache", &all, "build-images api --push --no-cache"),
        ("build-all", &none, "build-images"),
        ("compare", &all, "compare"),
    ] {
        assert_eq!(calls(IMAGES, line, variables), call, "{line}");
    }
}

#[test]
fn every_command_of_sutra_deploy() {
    for (line, call) in [
        ("install --edition simple", "deploy install --edition simple"),
        ("up", "deploy install"),
        ("deploy v2.0.1", "deploy install --tag v2.0.1"),
        ("deploy v2 --edition simple", "deploy install --tag v2 --edition simple"),
        ("update", "deploy update"),
        ("update sutra-api", "deploy update sutra-api"),
        ("restart", "deploy restart"),
        ("restart sutra-api", "deploy restart sutra-api"),
        ("rollback", "deploy rollback"),
        ("status", "deploy status"),
        ("logs sutra-api --follow", "deploy logs sutra-api --follow"),
        ("validate --timeout 9", "smoke-test --timeout 9"),
        ("down --volumes", "deploy down --volumes"),
        ("clean", "deploy down; clean --edition all --variant both"),
        ("version", "--version"),
        ("statsu", "deploy statsu"),
    ] {
        assert_eq!(calls(DEPLOY, line, &[]), call, "{line}");
    }
}

#[test]
fn a_failure_is_passed_on_and_ends_a_sequence() {
    assert_eq!(run(IMAGES, "compare fail", &[]).status.code(), Some(7));
    assert_eq!(run(DEPLOY, "logs fail", &[]).status.code(), Some(7));
    assert_eq!(run("scripts/smoke-test-embeddings.sh", "fail", &[]).status.code(), Some(7));
    let output = run(DEPLOY, "clean", &[("FAIL", "down")]);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(7), b"cargo xtask deploy down\n".as_slice())
    );
}

#[test]
fn without_a_command_they_print_their_usage_and_fail() {
    for script in [IMAGES, DEPLOY] {
        let (none, help) = (run(script, "", &[]), run(script, "--help", &[]));
        assert_eq!((none.status.code(), help.status.code()), (Some(2), Some(0)), "{script}");
        assert!(none.stdout.is_empty() && none.stderr == help.stdout, "{script}");
    }
    let usage = String::from_utf8(run(IMAGES, "help", &[]).stdout).unwrap();
    for word in ["build-all ", "build SERVICE…", "compare ", "analyze SERVICE ", "test ", "clean "] {
        assert!(usage.contains(&format!("\n  {word}")), "{usage}");
    }
}

/// The scripts rely on this.
#[test]
fn an_unknown_command_names_the_nearest() {
    for (line, nearest) in [
        ("biuld", "'build'"),
        ("build-al", "'build-all'"),
        ("comapre", "'compare'"),
        ("deploy statsu", "'status'"),
        ("deploy instal", "'install'"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(line.split(' ')).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(nearest), "{line}: {text}");
    }
}
