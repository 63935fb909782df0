//! Reads package names and versions from lock files and similar files. Downloads and runs nothing.

mod cargo;
mod dockerfile;
mod dotnet;
mod go;
mod gradle;
mod npm;
mod php;
mod pnpm;
mod python;
mod requirements;
mod ruby;
mod yarn;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

pub use python::{download_sizes, normalized};

use contents::owner::OwnerKind;
use model::bytes::Bytes;

/// How to read a lock file; fails if it is not one.
pub type Reader = fn(&str) -> Result<LockFile>;

/// The packages of a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile {
    /// Versions by package. npm and Cargo can install several versions of one package.
    pub packages: BTreeMap<Package, BTreeSet<Locked>>,
    /// The sizes of downloads that the file states: the smallest and the largest, since platforms differ.
    pub downloads: BTreeMap<(Package, String), (Bytes, Bytes)>,
}

/// A package without its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// The kind of owner that it is in an image.
    pub kind: OwnerKind,
    /// Its name, in the form that its package manager compares.
    pub name: String,
}

/// A version of a package, as a lock file states it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Locked {
    /// An exact version, or a requirement such as `>=2`; empty if any version will do.
    pub version: String,
    /// Whether `version` is exact.
    pub is_exact: bool,
    /// Whether it is for development only, so that images usually lack it.
    pub is_dev: bool,
}

impl LockFile {
    /// Adds a package with an exact version.
    fn add(&mut self, kind: OwnerKind, name: &str, version: &str, is_dev: bool) {
        self.insert(kind, name, Locked { version: without_url(version), is_exact: true, is_dev });
    }

    /// Adds a package with a requirement.
    fn require(&mut self, kind: OwnerKind, name: &str, requirement: &str) {
        let version = without_url(requirement);
        self.insert(kind, name, Locked { version, is_exact: false, is_dev: false });
    }

    fn insert(&mut self, kind: OwnerKind, name: &str, locked: Locked) {
        self.packages.entry(Package { kind, name: name.to_owned() }).or_default().insert(locked);
    }
}

/// URLs can contain passwords: only the revision of a source in git remains.
fn without_url(version: &str) -> String {
    match version.split_once("://") {
        None => version.to_owned(),
        Some((_, rest)) => match rest.rsplit_once('#') {
            Some((_, revision)) if revision.bytes().all(|b| b.is_ascii_hexdigit()) && revision.len() >= 7 => {
                revision.chars().take(12).collect()
            }
            _ => "URL".to_owned(),
        },
    }
}

/// The reader for a file by its name: `None` if it is not a lock file, `Some(None)` if it is one that cannot be read.
pub fn reader(path: &str) -> Option<Option<Reader>> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let reader: Reader = match name {
        "package-lock.json" | "npm-shrinkwrap.json" => npm::read,
        "pnpm-lock.yaml" => pnpm::read,
        "yarn.lock" => yarn::read,
        "Cargo.lock" => cargo::read,
        "uv.lock" | "poetry.lock" | "pdm.lock" | "pylock.toml" => python::read,
        "Pipfile.lock" => python::pipfile,
        "go.mod" => go::module,
        "go.sum" => go::sums,
        "Gemfile.lock" | "gems.locked" => ruby::read,
        "composer.lock" => php::read,
        "packages.lock.json" => dotnet::read,
        "gradle.lockfile" => gradle::read,
        _ if requirements::is_file(folder, name) => requirements::read,
        _ if dockerfile::is_file(name) => dockerfile::read,
        _ if NOT_READ.contains(&name) => return Some(None),
        _ => return None,
    };
    Some(Some(reader))
}

/// Lock files of other package managers.
const NOT_READ: [&str; 16] = [
    "bun.lock",
    "bun.lockb",
    "Package.resolved",
    "Podfile.lock",
    "buildscript-gradle.lockfile",
    "cabal.project.freeze",
    "conan.lock",
    "conda-lock.yml",
    "deno.lock",
    "flake.lock",
    "mix.lock",
    "pixi.lock",
    "pubspec.lock",
    "rebar.lock",
    "renv.lock",
    "stack.yaml.lock",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `name version` of every package, as the tests of the readers compare them.
    pub fn listed(lock: &LockFile) -> Vec<String> {
        let line = |(package, locked): (&Package, &Locked)| {
            let exact = if locked.is_exact { "" } else { "?" };
            let dev = if locked.is_dev { " (dev)" } else { "" };
            format!("{} {} {}{exact}{dev}", package.kind, package.name, locked.version)
        };
        let all = lock.packages.iter().flat_map(|(package, all)| all.iter().map(move |one| (package, one)));
        all.map(line).collect()
    }

    #[test]
    fn files_are_recognized_by_their_names() {
        for path in [
            "package-lock.json",
            "a/Cargo.lock",
            "requirements.txt",
            "a/requirements-dev.txt",
            "a/requirements/base.txt",
            "a/dev-requirements.txt",
            "constraints.txt",
            "Dockerfile",
            "a/Dockerfile.optimized",
            "api.Dockerfile",
            "Containerfile",
        ] {
            assert!(matches!(reader(path), Some(Some(_))), "{path}");
        }
        assert!(matches!(reader("a/mix.lock"), Some(None)));
        for path in
            ["package.json", "xCargo.lock", "notes.txt", "requirements.md", "Dockerfile.dockerignore", ""]
        {
            assert!(reader(path).is_none(), "{path}");
        }
    }

    #[test]
    fn no_reader_panics_or_hangs_on_broken_files() {
        let long = "[".repeat(200_000);
        let texts = [
            "",
            "\0",
            "{",
            "[",
            "null",
            "[]",
            "{\"packages\": 1}",
            "a\n\n  b",
            "=",
            "(",
            "[[package]]\nname = 1",
            "require (",
            "@",
            "/",
            "packages:\n  @:\n  /:\n  '\n",
            "\"",
            "\"@\":\n  version",
            "FROM",
            "FROM a\nRUN apt-get install",
            "FROM a\nRUN apk add -t",
            long.as_str(),
        ];
        for name in [
            "package-lock.json",
            "pnpm-lock.yaml",
            "yarn.lock",
            "Cargo.lock",
            "uv.lock",
            "Pipfile.lock",
            "go.mod",
            "go.sum",
            "Gemfile.lock",
            "composer.lock",
            "packages.lock.json",
            "gradle.lockfile",
            "requirements.txt",
            "Dockerfile",
        ] {
            let Some(Some(read)) = reader(name) else { panic!("{name}") };
            for text in texts {
                if let Ok(lock) = read(text) {
                    assert!(lock.packages.len() <= 2, "{name}: {text}: {:?}", listed(&lock));
                }
            }
        }
    }

    #[test]
    fn addresses_are_never_kept() {
        assert_eq!(without_url("git+ssh://user:pass@host/a.git#0123456789abcdef"), "0123456789ab");
        assert_eq!(without_url("https://user:pass@host/a.tgz"), "URL");
        assert_eq!(without_url("https://host/a.tgz#user:pass"), "URL");
        assert_eq!(without_url("1.2.3"), "1.2.3");
    }
}
