//! The sizes of packages in images that exist.

use std::collections::{BTreeMap, BTreeSet};

use super::InstalledSize;
use crate::lock_files::{Package, normalized};
use contents::code::REST;
use contents::facts::{Ecosystem, InsideBytes, Part};
use contents::owner::{Owner, OwnerKind};
use contents::record::Contents;
use model::bytes::Bytes;

/// Sizes by package and version.
#[derive(Debug, Default)]
pub struct KnownSizes(BTreeMap<(Package, String), InstalledSize>);

impl KnownSizes {
    /// The size of a version.
    pub fn of(&self, package: &Package, version: &str) -> Option<InstalledSize> {
        self.0.get(&(package.clone(), version.to_owned())).cloned()
    }

    /// Adds the packages of an image. What is known from an earlier image stays.
    pub fn add(&mut self, contents: &Contents) {
        for owner in &contents.owners {
            match (owner.kind, &owner.version) {
                (OwnerKind::Rust, _) => self.crates(owner, &contents.image),
                (OwnerKind::Go, _) => self.modules(owner, &contents.image),
                (kind, Some(version)) => {
                    let package = Package { kind, name: name(kind, &owner.name) };
                    self.note(package, version, owner.bytes, &contents.image);
                }
                (_, None) => {}
            }
        }
    }

    /// Adds a size, unless one is known.
    pub fn note(&mut self, package: Package, version: &str, bytes: Bytes, image: &str) {
        let size = InstalledSize { bytes, image: image.to_owned() };
        self.0.entry((package, version.to_owned())).or_insert(size);
    }

    /// The machine code of crates, where a program has one version of a crate: symbols do not name versions.
    fn crates(&mut self, owner: &Owner, image: &str) {
        let crates = || owner.parts.iter().filter(|part| part.ecosystem == Ecosystem::Cargo);
        for part in crates() {
            let is_only = crates().filter(|other| other.name == part.name).count() == 1;
            let symbol = part.name.replace('-', "_");
            let code = owner.inside.iter().find(|inside| inside.name == symbol).filter(|_| is_only);
            if let Some(code) = code {
                let package = Package { kind: OwnerKind::Rust, name: part.name.clone() };
                self.note(package, &part.version, Bytes(code.bytes), image);
            }
        }
    }

    /// The machine code of Go modules, unless small packages are listed together.
    fn modules(&mut self, owner: &Owner, image: &str) {
        if owner.inside.iter().any(|inside| inside.name == REST) {
            return;
        }
        let modules: BTreeSet<&Part> =
            owner.parts.iter().filter(|part| part.ecosystem == Ecosystem::Golang).collect();
        let mut sums: BTreeMap<&Part, u64> = BTreeMap::new();
        for inside in &owner.inside {
            // A module can be nested in the path of another.
            let around = modules.iter().filter(|module| is_inside(inside, &module.name));
            if let Some(module) = around.max_by_key(|module| module.name.len()) {
                *sums.entry(module).or_default() += inside.bytes;
            }
        }
        for (module, bytes) in sums {
            let package = Package { kind: OwnerKind::Go, name: module.name.clone() };
            self.note(package, &module.version, Bytes(bytes), image);
        }
    }
}

/// Whether a Go package belongs to the path of a module.
fn is_inside(package: &InsideBytes, module: &str) -> bool {
    package.name.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The name as lock files have it.
fn name(kind: OwnerKind, name: &str) -> String {
    match kind {
        OwnerKind::Python => normalized(name),
        OwnerKind::Composer => name.to_lowercase(),
        _ => name.to_owned(),
    }
}
