//! Manifests, size locks, env files, Dockerfiles and bake's events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use check::lock::{Acceptance, Lock, LockKey};
use engine::bake_report::{error_line, failed_instruction};
use engine::dotenv;
use engine::events::Stream;
use fastrand::Rng;
use host::paths::Repository;
use model::baseline::Weights;
use model::build_args;
use model::bytes::Bytes;
use model::dockerfile;
use model::reader;

use super::corpus;

/// Checks that a manifest is accepted or that every fault names an existing line.
pub fn manifest(bytes: &[u8], _: &mut Rng) -> Result<bool, String> {
    static REPOSITORY: OnceLock<Repository> = OnceLock::new();
    let repository = REPOSITORY.get_or_init(|| {
        Repository::locate(Some(&corpus::repository())).expect("the repository of the corpus")
    });
    let text = &*String::from_utf8_lossy(bytes);
    match reader::parse(text, repository) {
        Ok(_) => Ok(true),
        Err(failure) => lines_exist(&failure.to_string(), repository.manifest_name(), text),
    }
}

/// Whether a report names at least one line, and only existing ones.
fn lines_exist(report: &str, file: &str, text: &str) -> Result<bool, String> {
    let start = format!("  {file}:");
    let lines = report.lines().filter_map(|line| line.strip_prefix(&start)?.split_once(':')?.0.parse().ok());
    let lines: Vec<usize> = lines.collect();
    let most = text.matches('\n').count() + 1;
    if !lines.is_empty() && lines.iter().all(|line| (1..=most).contains(line)) {
        Ok(false)
    } else {
        Err(format!("lines {lines:?} of {most}: {report}"))
    }
}

/// Checks that a lock without edits stays unchanged, that edited rows can be read back, and that other rows stay.
pub fn lock(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    const FILE: &str = "xtask/sizes.lock.toml";
    let text = &*String::from_utf8_lossy(bytes);
    let lock = match Lock::parse(text, FILE) {
        Ok(lock) => lock,
        Err(failure) => return lines_exist(&failure.to_string(), FILE, text),
    };
    let acceptance = Acceptance { reason: "a \"new\"\nreason".into(), day: "2026-03-01".into() };
    let edited = |rows: &BTreeMap<LockKey, Option<Weights>>| {
        lock.edited(rows, &acceptance, &crate::support::editions())
            .map_err(|error| format!("cannot write: {error:#}"))
    };
    let same = edited(&BTreeMap::new())?;
    if same != text && sorted(&same) != sorted(text) {
        return Err(format!("changes without an edit:\n{same}"));
    }
    let service = if rng.bool() { "api" } else { "new" };
    let mut keys: Vec<LockKey> = lock.rows.keys().cloned().collect();
    keys.push(LockKey::of(service, crate::support::editions()[rng.usize(..3)], "linux/amd64"));
    let key = keys.swap_remove(rng.usize(..keys.len()));
    let weights = rng.bool().then_some(Weights { own: Bytes(rng.u64(..1 << 62)), base: Bytes(7) });
    let mut expected = lock.rows.clone();
    match weights {
        Some(weights) => drop(expected.insert(key.clone(), weights)),
        None => drop(expected.remove(&key)),
    }
    let text = edited(&BTreeMap::from([(key.clone(), weights)]))?;
    let found = Lock::parse(&text, FILE)
        .map_err(|failure| format!("{key:?} set to {weights:?}: {failure}\n{text}"))?;
    if found.rows == expected { Ok(true) } else { Err(format!("{key:?} set to {weights:?}:\n{text}")) }
}

/// The lines of a text, sorted and without line endings: an edit may group rows and unify line endings.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines
}

/// Checks that a value can be set and read back, and that nothing else changes.
pub fn env(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    const VALUES: [&str; 10] =
        ["", "v", "x$y", "it's", "a\\", "a\\'b\"$c", "two\nlines", "${A:-b}", " # ", "\u{e9}\r"];
    let text = &*String::from_utf8_lossy(bytes);
    let environment = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
    let before = dotenv::variables(text, &environment);
    let names = dotenv::names(text);
    let (name, is_plain) = (names.get(rng.usize(..=names.len())), dotenv::is_plain(text));
    // Reading stops at a syntax error. Only a simple file certainly has none.
    let Some(name) = name.copied().or(is_plain.then_some("NEW")) else { return Ok(false) };
    let value = VALUES[rng.usize(..VALUES.len())];
    let set = dotenv::set(text, name, value);
    let mut after = dotenv::variables(&set, &environment);
    if after.get(name).map(String::as_str) != Some(value) {
        return Err(format!("{name} set to {value:?} is {:?}:\n{set}", after.get(name)));
    }
    // Other values may refer to it.
    if !text.contains('$') {
        after.remove(name);
        let others = before.into_iter().filter(|(other, _)| other != name);
        if !after.into_iter().eq(others) {
            return Err(format!("{name} set to {value:?} changes others:\n{set}"));
        }
    }
    Ok(true)
}

/// Checks that instructions are in file order and on existing lines.
pub fn dockerfile(bytes: &[u8], _: &mut Rng) -> Result<bool, String> {
    let text = &*String::from_utf8_lossy(bytes);
    let references = dockerfile::references(text);
    if let Some(odd) = references.iter().find(|reference| reference.contains('$') || *reference == "scratch")
    {
        return Err(format!("{odd} is a reference"));
    }
    let stages = dockerfile::stages(text);
    let most = text.lines().count();
    let usage = build_args::usage(text, "VERSION");
    let arguments = usage.used.iter().chain(&usage.unused).copied().max().unwrap_or_default();
    let last = dockerfile::last_stage(text, &[("VERSION", "1"), ("A", "$A")]);
    let instructions = last.as_ref().map_or(&[][..], |(_, instructions)| instructions);
    if !instructions.is_sorted_by(|one, other| one.line < other.line)
        || instructions.iter().any(|one| one.line == 0)
        || instructions.last().is_some_and(|one| one.line > most)
        || arguments > most
    {
        return Err(format!("lines of {most}: {instructions:?}, {usage:?}"));
    }
    Ok(!(references.is_empty() && stages.is_empty()) && last.is_some())
}

/// Checks that chunk boundaries in a stream do not matter.
pub fn events(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    let targets = BTreeSet::from(["api".to_owned(), "web".to_owned()]);
    let mut whole = Stream::of(&targets);
    let events = whole.push(bytes);
    let mut pieces = Stream::of(&targets);
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rng.usize(1..=rest.len().min(2000)));
        found.extend(pieces.push(piece));
        rest = behind;
    }
    let text = whole.text();
    if found != events || pieces.text() != text {
        return Err(format!("{} events in pieces, {} in one", found.len(), events.len()));
    }
    failed_instruction(&text);
    error_line(&text);
    Ok(!events.is_empty())
}
