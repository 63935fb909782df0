//! What is in an image, as the sources of advisories name it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use contents::facts;
use contents::owner::{Owner, OwnerKind};
use contents::record::Contents;

/// A registry whose names and versions advisories use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// Debian's source packages.
    Debian,
    /// crates.io.
    Crates,
    /// PyPI.
    Python,
    /// The npm registry.
    Npm,
}

impl Ecosystem {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Ecosystem::Debian => "Debian",
            Ecosystem::Crates => "crates.io",
            Ecosystem::Python => "PyPI",
            Ecosystem::Npm => "npm",
        }
    }
}

/// A package, crate or distribution. Debian's binary packages are grouped by the source package that they were built from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Component {
    /// Its registry.
    pub ecosystem: Ecosystem,
    /// Debian: the release, such as `trixie`.
    pub release: Option<String>,
    /// Name; of the source package for Debian.
    pub name: String,
    /// Version; of the source package for Debian.
    pub version: String,
    /// Debian: the binary packages in the image, with their versions.
    pub binaries: Vec<(String, String)>,
}

impl Component {
    /// `name version`.
    pub fn label(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// The components of an image, and what it does not name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Sorted, each once.
    pub components: Vec<Component>,
    /// What no source can be asked about, with the reason.
    pub unnamed: Vec<String>,
}

/// Lists what is in an image.
pub fn inventory(contents: &Contents) -> Inventory {
    let mut debian: BTreeMap<(String, String), Vec<(String, String)>> = BTreeMap::new();
    let (mut components, mut unnamed) = (BTreeSet::new(), Vec::new());
    for owner in &contents.owners {
        for part in owner.parts.iter().filter(|part| part.ecosystem == facts::Ecosystem::Cargo) {
            components.insert(named(Ecosystem::Crates, &part.name, &part.version));
        }
        match (owner.kind, &owner.version) {
            (OwnerKind::Dpkg, Some(version)) => {
                let (name, source) = match &owner.source {
                    Some(source) => (&source.name, &source.version),
                    None => (&owner.name, version),
                };
                let binaries = debian.entry((name.clone(), source.clone())).or_default();
                binaries.push((owner.name.clone(), version.clone()));
            }
            (OwnerKind::Python, Some(version)) => {
                components.insert(named(Ecosystem::Python, &owner.name, version));
            }
            (OwnerKind::Npm, Some(version)) => {
                components.insert(named(Ecosystem::Npm, &owner.name, version));
            }
            _ => unnamed.extend(reason(owner)),
        }
    }
    unnamed.extend(without_source(contents));
    let release = contents.os.as_ref().filter(|os| os.id == "debian").and_then(|os| os.codename.clone());
    if !debian.is_empty() && release.is_none() {
        unnamed.push("Debian packages: no os-release names Debian's release".to_owned());
    }
    components.extend(debian.into_iter().map(|((name, version), mut binaries)| {
        binaries.sort();
        Component { ecosystem: Ecosystem::Debian, release: release.clone(), name, version, binaries }
    }));
    Inventory { components: components.into_iter().collect(), unnamed }
}

fn named(ecosystem: Ecosystem, name: &str, version: &str) -> Component {
    let (name, version) = (name.to_owned(), version.to_owned());
    Component { ecosystem, release: None, name, version, binaries: Vec::new() }
}

/// The number of owners of a kind that no source covers.
fn without_source(contents: &Contents) -> Vec<String> {
    const KINDS: [OwnerKind; 8] = [
        OwnerKind::Apk,
        OwnerKind::Rpm,
        OwnerKind::Conda,
        OwnerKind::Gem,
        OwnerKind::Composer,
        OwnerKind::Maven,
        OwnerKind::Nuget,
        OwnerKind::Go,
    ];
    let line = |kind: &OwnerKind| {
        let count = contents.owners.iter().filter(|owner| owner.kind == *kind).count();
        let owners = if count == 1 { "owner" } else { "owners" };
        (count > 0).then(|| format!("{count} {owners} of the kind {kind}: no source covers these"))
    };
    KINDS.iter().filter_map(line).collect()
}

/// Why no source can be asked about an owner; `None` if there is nothing to ask.
fn reason(owner: &Owner) -> Option<String> {
    let why = match owner.kind {
        OwnerKind::Dpkg if owner.is_rest_of_packages() => return None,
        OwnerKind::Dpkg => "its version is unknown",
        OwnerKind::Rust if owner.parts.is_empty() => "it lists no crates (cargo-auditable)",
        OwnerKind::Runtime | OwnerKind::Program => "it belongs to no package",
        OwnerKind::Static => "pages do not list the packages that are bundled into them",
        _ => return None,
    };
    Some(format!("{}: {why}", owner.label()))
}
