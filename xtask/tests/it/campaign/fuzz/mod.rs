//! Fuzzing of our parsers: two million inputs per seed, derived from the files in `tests/fuzz`. No input may cause a panic, a hang
//! or unbounded memory use; each format also has its own property.
//!
//! Inputs run in child processes with limited memory. A child records each input before running it, so that even an abort can be
//! traced. An input depends only on seed, format and number.

mod archives;
mod compose;
mod corpus;
mod formats;
mod mutator;
mod packages;
mod tar_mutator;
mod text;
mod worker;

use std::fs;
use std::ops::Range;

use super::Case;
use formats::{FORMATS, Format};

/// Inputs per format and seed.
const INPUTS: u64 = 100_000;

/// Inputs per case.
const BATCH: u64 = 10_000;

/// Children per case.
const CHILDREN: u64 = 2;

#[test]
#[ignore = "takes up to an hour: cargo xtask ci --campaign fuzz --seed 1"]
fn campaign() {
    assert_eq!(INPUTS * FORMATS.len() as u64, 2_000_000);
    let cases = FORMATS.iter().flat_map(|format| {
        (0..INPUTS / BATCH).map(move |batch| {
            let inputs = batch * BATCH..(batch + 1) * BATCH;
            let name = format!("{}: inputs {} to {}", format.name, inputs.start, inputs.end - 1);
            Case::new(name, move || run(format, inputs.clone()))
        })
    });
    super::run("fuzz", cases.collect());
}

/// Runs a batch in several children at once.
fn run(format: &'static Format, inputs: Range<u64>) -> Result<(), String> {
    let each = (inputs.end - inputs.start) / CHILDREN;
    let results: Vec<Result<u64, String>> = std::thread::scope(|scope| {
        let starts = (0..CHILDREN).map(|child| inputs.start + child * each);
        let children: Vec<_> =
            starts.map(|start| scope.spawn(move || worker::watch(format, start..start + each))).collect();
        children.into_iter().map(|child| child.join().expect("watching does not fail")).collect()
    });
    let mut accepted = 0;
    let mut findings = Vec::new();
    for result in results {
        match result {
            Ok(count) => accepted += count,
            Err(finding) => findings.push(finding),
        }
    }
    if !findings.is_empty() {
        return Err(findings.join("\n"));
    }
    // If every input failed at once, nothing else would be tested.
    let least = (inputs.end - inputs.start) / 50;
    if accepted < least {
        Err(format!("only {accepted} inputs were accepted, fewer than {least}"))
    } else {
        Ok(())
    }
}

#[test]
fn every_file_of_the_corpus_has_its_properties() {
    for format in &FORMATS {
        let files = corpus::of(format.name);
        let mut accepted = 0;
        for (number, bytes) in files.iter().enumerate() {
            let checked = (format.check)(bytes, &mut fastrand::Rng::with_seed(number as u64));
            accepted +=
                u32::from(checked.unwrap_or_else(|finding| panic!("{} {number}: {finding}", format.name)));
        }
        assert!(accepted >= 2, "{}: {accepted} of {} files were accepted", format.name, files.len());
    }
}

#[test]
fn inputs_depend_only_on_seed_format_and_number() {
    for format in &FORMATS {
        let files = corpus::of(format.name);
        let inputs: Vec<Vec<u8>> = (0..50).map(|number| format.input(&files, 1, number)).collect();
        assert_eq!(format.input(&files, 1, 49), inputs[49], "{}", format.name);
        assert_ne!(format.input(&files, 2, 49), inputs[49], "{}", format.name);
        let distinct: std::collections::BTreeSet<&Vec<u8>> = inputs.iter().collect();
        assert!(distinct.len() > 40, "{}: {} distinct inputs", format.name, distinct.len());
    }
}

/// The folder for failing inputs and the children's records.
fn folder() -> std::path::PathBuf {
    let folder = super::root().join("target/xtask/campaign/fuzz");
    fs::create_dir_all(&folder).unwrap();
    folder
}
