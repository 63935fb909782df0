//! Faults planted in our own code, to prove that a campaign part finds faults. Each is one text replacement in a copy of xtask,
//! which is built and run through a few cases of the part.

mod compose;
mod daemon;
mod disk;
mod fuzz;
mod kills;
mod pairs;
mod registry;
mod updates;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{seed, setting};
use crate::support::containers::root;

/// Number of faults per part.
const OF_EACH_PART: usize = 10;

/// One text replacement in our own code.
struct Fault {
    /// The bug, as a reviewer would describe it.
    what: &'static str,
    /// Cases that trigger it, as a value of `XTASK_CAMPAIGN_ONLY`.
    only: &'static str,
    /// Relative to `xtask/`.
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const PARTS: [(&str, [Fault; OF_EACH_PART]); 8] = [
    ("compose", compose::FAULTS),
    ("daemon", daemon::FAULTS),
    ("disk", disk::FAULTS),
    ("fuzz", fuzz::FAULTS),
    ("kills", kills::FAULTS),
    ("pairs", pairs::FAULTS),
    ("registry", registry::FAULTS),
    ("updates", updates::FAULTS),
];

#[test]
fn every_fault_can_be_planted() {
    for fault in PARTS.iter().flat_map(|(_, faults)| faults) {
        let text = fs::read_to_string(root().join("xtask").join(fault.file)).unwrap();
        assert_eq!(text.matches(fault.from).count(), 1, "{}: `{}`", fault.file, fault.from);
        assert_ne!(fault.from, fault.to, "{}", fault.file);
    }
}

#[test]
#[ignore = "takes most of an hour: cargo xtask ci --campaign PART --planted"]
fn campaign() {
    let part = setting("PART").expect("ci sets the part");
    let (_, faults) = PARTS.iter().find(|(name, _)| *name == part).expect("the part has planted faults");
    let copy = Copy::new();
    let mut missed = Vec::new();
    for fault in faults {
        let (found, said) = find(&part, fault, &copy.plant(&part, fault));
        println!("{part}: {} {}: {}", if found { "found" } else { "MISSED" }, fault.what, said);
        if !found {
            missed.push(fault.what);
        }
    }
    assert!(missed.is_empty(), "{part} missed {} of {OF_EACH_PART} planted faults: {missed:?}", missed.len());
    println!("{part}, seed {}: found {OF_EACH_PART} of {OF_EACH_PART} planted faults", seed());
}

/// Runs the cases that the fault should break until one fails. Returns whether one failed, and its line or the last line.
fn find(part: &str, fault: &Fault, planted: &Planted) -> (bool, String) {
    let tests = planted.tests.clone().unwrap_or_else(|| std::env::current_exe().unwrap());
    let output = Command::new(tests)
        .args(["--ignored", "--exact", &format!("campaign::{part}::campaign"), "--nocapture"])
        .env("XTASK_CAMPAIGN_PROGRAM", &planted.program)
        .env("XTASK_CAMPAIGN_TO_FIRST", "1")
        .env("XTASK_CAMPAIGN_ONLY", fault.only)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let broke = text.lines().find(|line| line.contains(" FAILED "));
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    (broke.is_some(), broke.unwrap_or(last).to_owned())
}

/// A copy of xtask as a separate workspace.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Copy {
        let folder = root().join("target/xtask/campaign/planted");
        fs::create_dir_all(&folder).unwrap();
        let script = "rm -rf \"$1/xtask\" && cp -r \"$0/xtask\" \"$1/xtask\" && cp \"$0/Cargo.lock\" \"$1/xtask\" && \
                      printf '\\n[workspace]\\n' >> \"$1/xtask/Cargo.toml\" && \
                      sed -n '/^.profile.dev/,$p' \"$0/Cargo.toml\" >> \"$1/xtask/Cargo.toml\"";
        let copied = Command::new("sh").args(["-c", script]).args([&root(), &folder]).status().unwrap();
        assert!(copied.success());
        Copy(folder)
    }

    /// Builds the program with this fault.
    fn plant(&self, part: &str, fault: &Fault) -> Planted {
        let file = self.0.join("xtask").join(fault.file);
        let original = fs::read_to_string(&file).unwrap();
        fs::write(&file, original.replace(fault.from, fault.to)).unwrap();
        let mut planted = Planted { file, original, program: self.0.join("target/debug/xtask"), tests: None };
        // `fuzz` calls the parsers in the test process.
        let build: &[&str] = if part == "fuzz" { &["test", "--test", "it", "--no-run"] } else { &["build"] };
        let built = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
            .args(build)
            .args(["--quiet", "--message-format", "json-render-diagnostics", "--manifest-path"])
            .arg(self.0.join("xtask/Cargo.toml"))
            .arg("--target-dir")
            .arg(self.0.join("target"))
            .env("RUSTFLAGS", "--cap-lints=allow")
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(built.status.success(), "the planted fault does not compile: {}", fault.what);
        if part == "fuzz" {
            planted.tests = Some(tests_of(&built.stdout).expect("cargo names the tests"));
        }
        planted
    }
}

/// The path of the test binary, from cargo's messages.
fn tests_of(messages: &[u8]) -> Option<PathBuf> {
    let messages = serde_json::Deserializer::from_slice(messages).into_iter::<Value>();
    let mut tests = messages.flatten().filter(|message| message["target"]["name"] == "it");
    tests.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

/// A program with a fault; dropping it restores the source.
struct Planted {
    file: PathBuf,
    original: String,
    program: PathBuf,
    /// The test binary with the fault, if the part needs its own.
    tests: Option<PathBuf>,
}

impl Drop for Planted {
    fn drop(&mut self) {
        fs::write(&self.file, &self.original).unwrap();
    }
}
