//! Campaigns: inject many faults into real engines, registries and disks, in an order that depends on a seed.
//! `cargo xtask ci --campaign PART` runs one part; with `--planted`, the part must find the faults that [`planted`] inserts into
//! our own code.

mod compose;
mod daemon;
mod disk;
mod endings;
mod fuzz;
mod kills;
mod own_engine;
mod pairs;
mod planted;
mod registry;
mod sites;
mod trial;
mod updates;
mod world;

use std::fs::{self, File};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::containers::root;

/// Time limit of a part; the next run continues with the remaining cases.
const LIMIT: Duration = Duration::from_mins(58);

/// Printed at the end of a run without findings, before the number of cases.
const CLEAN: &str = "no findings in";

/// A fault and the checks after it.
pub struct Case<'a> {
    /// Names the fault. A resumed run skips cases that have already run.
    pub name: String,
    /// `Err` is a finding.
    pub run: Box<dyn Fn() -> Result<(), String> + 'a>,
}

impl<'a> Case<'a> {
    pub fn new(name: impl Into<String>, run: impl Fn() -> Result<(), String> + 'a) -> Case<'a> {
        Case { name: name.into(), run: Box::new(run) }
    }
}

/// The value of `XTASK_CAMPAIGN_<name>`, set by `ci` or [`planted`].
fn setting(name: &str) -> Option<String> {
    std::env::var(format!("XTASK_CAMPAIGN_{name}")).ok()
}

/// The seed of this run.
pub fn seed() -> u64 {
    setting("SEED").map_or(1, |seed| seed.parse().expect("a seed is a number"))
}

/// Cases that have run, one JSON object per line.
fn journal(part: &str) -> PathBuf {
    root().join(format!("target/xtask/campaign/{part}-{}.jsonl", seed()))
}

/// Runs the remaining cases of a part with this seed, then fails with all findings.
pub fn run(part: &str, mut cases: Vec<Case<'_>>) {
    assert!(!cases.is_empty(), "{part} has no cases");
    if let Some(only) = setting("ONLY") {
        cases.retain(|case| only.split('|').any(|word| case.name.contains(word)));
        assert!(!cases.is_empty(), "{part} has no case whose name contains {only}");
    }
    fastrand::Rng::with_seed(seed()).shuffle(&mut cases);
    let to_first = setting("TO_FIRST").is_some();
    let path = journal(part);
    let mut ran = if to_first { Vec::new() } else { past(&path) };
    let (started, total) = (Instant::now(), cases.len());
    cases.retain(|case| ran.iter().all(|(name, _)| *name != case.name));
    for case in &cases {
        if started.elapsed() > LIMIT {
            break;
        }
        let begun = Instant::now();
        let finding = catch_unwind(AssertUnwindSafe(|| (case.run)())).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or(panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
        });
        let seconds = begun.elapsed().as_secs_f32();
        ran.push((case.name.clone(), finding.clone().err()));
        println!(
            "{part} {} of {total}: {} {seconds:.1} s  {}",
            ran.len(),
            if finding.is_ok() { "ok" } else { "FAILED" },
            case.name
        );
        if let Err(text) = &finding {
            println!("{}", text.lines().map(|line| format!("    {line}\n")).collect::<String>());
        }
        if to_first {
            if finding.is_err() {
                break;
            }
        } else {
            record(&path, &case.name, finding.as_ref().err());
        }
    }
    end(part, total, &ran);
}

fn record(path: &PathBuf, name: &str, finding: Option<&String>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::options().create(true).append(true).open(path).unwrap();
    writeln!(file, "{}", json!({"case": name, "finding": finding})).unwrap();
}

fn past(path: &PathBuf) -> Vec<(String, Option<String>)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let case = |line: &str| {
        // A killed run may have left an incomplete last line.
        let value: Value = serde_json::from_str(line).ok()?;
        Some((value["case"].as_str()?.to_owned(), value["finding"].as_str().map(str::to_owned)))
    };
    text.lines().filter_map(case).collect()
}

fn end(part: &str, total: usize, ran: &[(String, Option<String>)]) {
    let findings: Vec<String> =
        ran.iter().filter_map(|(name, finding)| Some(format!("{name}\n{}", finding.as_ref()?))).collect();
    let left = total - ran.len().min(total);
    if left > 0 && setting("TO_FIRST").is_none() {
        println!("{part}, seed {}: {left} of {total} cases left; run it again to continue", seed());
    }
    let count = ran.len();
    assert!(findings.is_empty(), "{} findings in {count} cases:\n{}", findings.len(), findings.join("\n\n"));
    println!("{part}, seed {}: {CLEAN} {count} cases", seed());
}

/// Fails with both values if they differ.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}:\n  found    {found:?}\n  expected {expected:?}"))
    }
}
