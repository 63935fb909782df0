//! Runs `compose-switch` on generated Compose projects. Compose is the oracle: its models before and after a switch may differ
//! only in the intended images. The generator knows these images and every byte of the switched files.

mod composer;
mod environment;
mod images;
mod judge;
mod layout;
mod model;
mod project;
mod references;
mod services;
mod text;

use std::sync::Mutex;
use std::thread;

use fastrand::Rng;

use self::judge::{Bench, Verdict};
use self::project::{Project, Theme};
use super::{Case, run, seed, setting};

/// Projects per case.
const BATCH: u64 = 50;

/// Batches per theme; 20,000 projects in all.
const THEMES: [(&str, Theme, u64); 5] = [
    ("files", Theme::Files, 120),
    ("texts", Theme::Texts, 100),
    ("variables", Theme::Variables, 100),
    ("refusals", Theme::Refusals, 30),
    ("typos", Theme::Typos, 50),
];

/// A batch stops after this many findings.
const ENOUGH: usize = 3;

#[test]
#[ignore = "takes more than one run of an hour: cargo xtask ci --campaign compose"]
fn campaign() {
    let benches = [Bench::new(), Bench::new()];
    let mut cases = Vec::new();
    for (number, (name, theme, count)) in (0_u64..).zip(THEMES) {
        for index in 0..count {
            let first = (number * 1000 + index) * BATCH;
            let benches = &benches;
            cases.push(Case::new(format!("{name} {index:03}"), move || batch(benches, theme, first)));
        }
    }
    run("compose", cases);
}

/// Judges the projects of one batch, in parallel on all benches.
fn batch(benches: &[Bench; 2], theme: Theme, first: u64) -> Result<(), String> {
    let (left, findings, verdicts) = (Mutex::new(first..first + BATCH), Mutex::default(), Mutex::default());
    let one = |bench: &Bench| {
        loop {
            let Some(number) = left.lock().unwrap().next() else { return };
            let mut rng = Rng::with_seed(seed().wrapping_mul(1_000_000_007).wrapping_add(number));
            let project = Project::generate(theme, &mut rng);
            match bench.judge(&project, &mut rng) {
                Ok(verdict) => Vec::push(&mut verdicts.lock().unwrap(), verdict),
                Err(what) => {
                    let mut found: std::sync::MutexGuard<'_, Vec<String>> = findings.lock().unwrap();
                    found.push(format!("project {number}: {what}\n{}", told(&project)));
                    if found.len() >= ENOUGH || setting("TO_FIRST").is_some() {
                        *left.lock().unwrap() = 0..0;
                    }
                }
            }
        }
    };
    thread::scope(|scope| benches.iter().for_each(|bench| drop(scope.spawn(|| one(bench)))));
    let findings: Vec<String> = findings.into_inner().unwrap();
    if !findings.is_empty() {
        return Err(findings.join("\n"));
    }
    balanced(theme, &verdicts.into_inner().unwrap())
}

/// Fails if too few of the generated projects test anything.
fn balanced(theme: Theme, verdicts: &[Verdict]) -> Result<(), String> {
    let of = |verdict: Verdict| verdicts.iter().filter(|found| **found == verdict).count();
    let [switched, unchanged, rejected] = [Verdict::Switched, Verdict::Unchanged, Verdict::Rejected].map(of);
    println!("  {switched} switched, {unchanged} unchanged, {rejected} rejected by Compose");
    let enough = match theme {
        Theme::Files | Theme::Texts | Theme::Variables => switched,
        Theme::Refusals => rejected,
        Theme::Typos => switched.min(rejected) * 4,
    };
    if enough * 2 >= verdicts.len() { Ok(()) } else { Err(format!("too few useful projects: {enough}")) }
}

/// Describes a project so that it can be reproduced.
fn told(project: &Project) -> String {
    let mut text = format!("request: {:?}, shell: {:?}\n", project.request, project.environment.shell);
    for (path, file) in &project.files {
        text.push_str(&format!(
            "=== {path}{}\n{}\n",
            if file.is_read { "" } else { " (not read)" },
            file.render()
        ));
    }
    text
}
