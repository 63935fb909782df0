//! Which part of a Cargo workspace an image is built from. Cargo needs every member's manifest and the whole lock file in the
//! context, but only members with sources there, and their dependencies, end up in the image.

use std::collections::{BTreeMap, BTreeSet};

use model::nesting;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The lock file's name, at the root of the context.
pub const LOCK: &str = "Cargo.lock";

/// A manifest's file name.
pub const MANIFEST: &str = "Cargo.toml";

/// The manifests of workspace members without sources in the context, given the names of all its files.
pub fn idle_manifests(names: &BTreeSet<String>) -> BTreeSet<String> {
    let has_sources = |folder: &str| {
        let sources = format!("{folder}/src/");
        names.range(sources.clone()..).next().is_some_and(|name| name.starts_with(&sources))
    };
    let idle = |name: &&String| {
        name.strip_suffix(MANIFEST)
            .and_then(|folder| folder.strip_suffix('/'))
            .is_some_and(|folder| !has_sources(folder))
    };
    if names.contains(LOCK) { names.iter().filter(idle).cloned().collect() } else { BTreeSet::new() }
}

#[derive(Deserialize)]
struct Manifest {
    package: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// `None` if the file is invalid or nested so deeply that the parser's stack could overflow.
fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    if nesting::too_deep(text).is_some() {
        return None;
    }
    toml::from_str(text).ok()
}

/// The name of the package that a manifest declares, if any.
pub fn package(manifest: &str) -> Option<String> {
    parse::<Manifest>(manifest)?.package.map(|package| package.name)
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The lock file's entries for these packages and all their dependencies, one per line. `None` if the file cannot be parsed
/// or lacks a package; then the whole file counts.
pub fn closure(lock: &str, roots: &BTreeSet<String>) -> Option<String> {
    let lock: Lock = parse(lock)?;
    let mut by_name: BTreeMap<&str, Vec<&Locked>> = BTreeMap::new();
    lock.package.iter().for_each(|locked| by_name.entry(&locked.name).or_default().push(locked));
    let mut open: Vec<&str> = roots.iter().map(String::as_str).collect();
    let mut lines = BTreeSet::new();
    while let Some(dependency) = open.pop() {
        // `NAME`, or `NAME VERSION` if there are several versions.
        let mut words = dependency.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let all = by_name.get(name)?;
        for locked in all.iter().filter(|locked| version.is_none_or(|version| version == locked.version)) {
            let line = format!(
                "{} {} {} {} {}",
                locked.name,
                locked.version,
                locked.source.as_deref().unwrap_or_default(),
                locked.checksum.as_deref().unwrap_or_default(),
                dependencies(locked, &by_name).join(",")
            );
            if lines.insert(line) {
                open.extend(locked.dependencies.iter().map(String::as_str));
            }
        }
    }
    Some(lines.into_iter().collect::<Vec<_>>().join("\n"))
}

/// A package's dependencies, each with its version. Cargo omits the version unless the file has several, which also depends on packages
/// outside of the closure.
fn dependencies(locked: &Locked, by_name: &BTreeMap<&str, Vec<&Locked>>) -> Vec<String> {
    let with_version = |dependency: &String| match by_name.get(dependency.as_str()).map(Vec::as_slice) {
        Some([only]) => format!("{dependency} {}", only.version),
        _ => dependency.clone(),
    };
    locked.dependencies.iter().map(with_version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKED: &str = r#"
version = 4
[[package]]
name = "server"
version = "0.1.0"
dependencies = ["left 2.0.0", "right"]
[[package]]
name = "tool"
version = "0.1.0"
dependencies = ["left 1.0.0"]
[[package]]
name = "left"
version = "1.0.0"
checksum = "a"
[[package]]
name = "left"
version = "2.0.0"
checksum = "b"
[[package]]
name = "right"
version = "3.0.0"
checksum = "c"
dependencies = ["server"]
"#;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn only_dependencies_of_the_member_count() {
        let server = closure(LOCKED, &names(&["server"])).unwrap();
        assert!(server.contains("left 2.0.0") && server.contains("right 3.0.0"), "{server}");
        assert!(!server.contains("left 1.0.0") && !server.contains("tool"), "{server}");
        let other = |from: &str, to: &str| closure(&LOCKED.replace(from, to), &names(&["server"])).unwrap();
        assert_eq!(server, other("checksum = \"a\"", "checksum = \"z\""), "the tool's own dependency");
        assert_ne!(server, other("checksum = \"b\"", "checksum = \"z\""));
        assert_ne!(server, other("checksum = \"c\"", "checksum = \"z\""));
    }

    #[test]
    fn another_version_of_a_dependency_elsewhere_changes_nothing() {
        let more = LOCKED.replace("\"right\"]", "\"right 3.0.0\"]")
            + "[[package]]\nname = \"right\"\nversion = \"1.0.0\"\nchecksum = \"d\"\n";
        let server = names(&["server"]);
        assert_eq!(closure(&more, &server), closure(LOCKED, &server));
    }

    #[test]
    fn a_lock_that_cannot_be_parsed_has_no_closure() {
        assert_eq!(closure("no lock", &names(&["server"])), None);
        assert_eq!(closure(LOCKED, &names(&["stranger"])), None);
    }

    #[test]
    fn a_manifest_without_sources_is_idle() {
        let all = names(&["Cargo.lock", "Cargo.toml", "a/Cargo.toml", "a/src/main.rs", "b/Cargo.toml"]);
        assert_eq!(idle_manifests(&all), names(&["b/Cargo.toml"]));
        assert_eq!(idle_manifests(&names(&["b/Cargo.toml"])), names(&[]), "no workspace");
    }

    #[test]
    fn a_manifest_names_its_package() {
        assert_eq!(package("[package]\nname = \"x\"\nversion.workspace = true\n"), Some("x".to_owned()));
        assert_eq!(package("[workspace]\n"), None);
    }
}
