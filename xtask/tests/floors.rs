//! Keeps the house in order: a floor imports only lower floors, processes start in one place, and no service's name
//! stands in this crate.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

use std::fs;
use std::path::{Path, PathBuf};

/// Floors from the ground up. `main` and `cli` are the roof.
const FLOORS: [&str; 6] = ["domain", "system", "docker", "capabilities", "commands", "cli"];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                out.push(path);
            }
        }
    }
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    assert!(paths.len() > 30, "the sources were not found");
    let relative = |path: &Path| path.strip_prefix(&src).unwrap().to_owned();
    paths.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

fn floor_of(path: &Path) -> Option<usize> {
    let first = path.components().next()?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    FLOORS.iter().position(|floor| *floor == first)
}

/// The floors that a line of code names through `crate::` (and `xtask::`, as `main.rs` does).
fn floors_named(line: &str) -> Vec<usize> {
    let code = line.split("//").next().unwrap_or_default();
    let parts = code.split("crate::").skip(1).chain(code.split("xtask::").skip(1));
    parts
        .filter_map(|rest| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            FLOORS.iter().position(|floor| *floor == name)
        })
        .collect()
}

/// Climbing imports of one file.
fn climbs(floor: usize, text: &str) -> Vec<String> {
    let climbing = |line: &&str| floors_named(line).into_iter().any(|named| named > floor);
    text.lines().filter(climbing).map(|line| line.trim().to_owned()).collect()
}

#[test]
fn no_import_climbs() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let Some(floor) = floor_of(&path) else { continue };
        found.extend(climbs(floor, &text).into_iter().map(|line| format!("{}: {line}", path.display())));
        // `use crate::{a, b}` would hide floors from the reading above.
        assert!(!text.contains("crate::{"), "{}: name each floor in a `use` of its own", path.display());
    }
    assert!(found.is_empty(), "these lines climb:\n{}", found.join("\n"));
}

#[test]
fn a_climbing_line_would_be_seen() {
    assert_eq!(climbs(0, "use crate::docker::Docker;\n// crate::cli"), ["use crate::docker::Docker;"]);
    assert_eq!(climbs(3, "use crate::docker::Docker;"), Vec::<String>::new());
}

#[test]
fn processes_start_in_one_place() {
    for (path, text) in sources() {
        if path.starts_with("system/process") {
            continue;
        }
        for spawner in ["process::Command", "duct::", "xshell::"] {
            assert!(!text.contains(spawner), "{} names {spawner}", path.display());
        }
    }
}

#[test]
fn no_service_is_known_to_the_code() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("images.toml")).unwrap();
    let names: Vec<&str> = manifest
        .lines()
        .filter_map(|line| {
            let named = line.strip_prefix("image = ").or_else(|| line.strip_prefix("compose = "));
            named.or_else(|| line.strip_prefix("[service.")?.strip_suffix(']'))
        })
        .map(|value| value.trim().trim_matches('"'))
        .filter(|name| !name.contains('.'))
        .collect();
    assert!(names.len() >= 9, "the manifest's names were not found");
    for (path, text) in sources() {
        // Examples in comments and tests may speak of real images; code may not.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for name in &names {
                assert!(!line.contains(&format!("\"{name}\"")), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn no_file_holds_two_nouns() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines: split it", path.display());
    }
}
