//! Runs in folders without a manifest, on machines without an engine.

use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};

use serde_json::Value;

use super::{Folder, bare_machine, program, told};

/// Runs xtask in a folder, without an engine.
pub fn run(folder: &Folder, args: &[&str]) -> Output {
    run_with(&bare_machine(), folder, args, None)
}

pub fn run_with(bin: &Folder, folder: &Folder, args: &[&str], stdin: Option<&str>) -> Output {
    let mut command = program();
    command.args(args).env_clear().env("PATH", &bin.0).env("DOCKER_CONFIG", &folder.0);
    let input = stdin.map_or(Stdio::null(), |name| std::fs::File::open(folder.0.join(name)).unwrap().into());
    command.current_dir(&folder.0).stdin(input).output().unwrap()
}

/// A machine with curl.
pub fn with_curl() -> Folder {
    let bin = bare_machine();
    let path = std::env::var_os("PATH").unwrap();
    let real = std::env::split_paths(&path).map(|dir| dir.join("curl")).find(|path| path.is_file());
    symlink(real.expect("no curl on PATH"), bin.0.join("curl")).unwrap();
    bin
}

pub fn write(folder: &Folder, name: &str, bytes: &[u8]) {
    std::fs::write(folder.0.join(name), bytes).unwrap();
}

/// The record, without the name that was given.
pub fn record(output: &Output, folder: &Folder) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", told(output, folder));
    let mut json: Value = serde_json::from_slice(&output.stdout).unwrap();
    json["image"] = Value::Null;
    json
}

pub fn analyzed(folder: &Folder, image: &str) -> Value {
    record(&run(folder, &["analyze", image, "--format", "json"]), folder)
}

/// Exit code and the error alone.
pub fn error(output: &Output, folder: &Folder) -> String {
    let text = told(output, folder);
    let (head, error) = text.split_once("error: ").unwrap_or(("", &text));
    format!("{} {error}", head.lines().next().unwrap_or_default())
}
