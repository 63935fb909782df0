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

    /// Adds the packages of an image. Sizes from earlier images take precedence.
    pub fn add(&mut self, contents: &Contents) {
        contents.owners.iter().for_each(|owner| self.add_owner(owner, &contents.image));
    }

    fn add_owner(&mut self, owner: &Owner, image: &str) {
        match (owner.kind, &owner.version) {
            (OwnerKind::Rust, _) => self.crates(owner, image),
            (OwnerKind::Go, _) => self.modules(owner, image),
            (kind, Some(version)) => {
                let package = Package { kind, name: name(kind, &owner.name) };
                self.note(package, version, owner.bytes, image);
            }
            (_, None) => {}
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(owners: Vec<Owner>) -> KnownSizes {
        let mut sizes = KnownSizes::default();
        for owner in &owners {
            sizes.add_owner(owner, "api:1");
        }
        sizes
    }

    fn program(
        kind: OwnerKind,
        ecosystem: Ecosystem,
        parts: &[(&str, &str)],
        inside: &[(&str, u64)],
    ) -> Owner {
        let part = |(name, version): &(&str, &str)| Part {
            ecosystem,
            name: (*name).into(),
            version: (*version).into(),
        };
        let inside = inside.iter().map(|(name, bytes)| InsideBytes { name: (*name).into(), bytes: *bytes });
        let (parts, inside) = (parts.iter().map(part).collect(), inside.collect());
        Owner { kind, name: "/bin/app".into(), version: Some("9".into()), parts, inside, ..Owner::default() }
    }

    fn bytes(sizes: &KnownSizes, kind: OwnerKind, name: &str, version: &str) -> Option<u64> {
        sizes.of(&Package { kind, name: name.into() }, version).map(|size| size.bytes.0)
    }

    #[test]
    fn packages_are_found_by_the_names_of_lock_files() {
        let owner = |kind, name: &str, version: Option<&str>| Owner {
            kind,
            name: name.into(),
            version: version.map(str::to_owned),
            bytes: Bytes(5),
            ..Owner::default()
        };
        let sizes = sizes(vec![
            owner(OwnerKind::Python, "Typing_Extensions", Some("4.12.2")),
            owner(OwnerKind::Composer, "Monolog/monolog", Some("3.5.0")),
            owner(OwnerKind::Npm, "left-pad", None),
        ]);
        assert_eq!(bytes(&sizes, OwnerKind::Python, "typing-extensions", "4.12.2"), Some(5));
        assert_eq!(bytes(&sizes, OwnerKind::Python, "typing-extensions", "4.12.3"), None);
        assert_eq!(bytes(&sizes, OwnerKind::Composer, "monolog/monolog", "3.5.0"), Some(5));
        assert_eq!(bytes(&sizes, OwnerKind::Npm, "left-pad", ""), None);
    }

    #[test]
    fn a_crate_has_a_size_if_its_code_is_of_one_version() {
        let parts = [("serde-json", "1.0.1"), ("syn", "1.0.0"), ("syn", "2.0.0"), ("inlined", "1.0.0")];
        let inside = [("serde_json", 70), ("syn", 30), ("others", 9)];
        let sizes = sizes(vec![program(OwnerKind::Rust, Ecosystem::Cargo, &parts, &inside)]);
        assert_eq!(bytes(&sizes, OwnerKind::Rust, "serde-json", "1.0.1"), Some(70));
        for (name, version) in [("syn", "1.0.0"), ("syn", "2.0.0"), ("inlined", "1.0.0"), ("/bin/app", "9")] {
            assert_eq!(bytes(&sizes, OwnerKind::Rust, name, version), None, "{name}");
        }
    }

    #[test]
    fn a_go_module_has_its_own_packages_and_not_those_of_a_module_inside_its_path() {
        let parts = [("h/aws", "v1.0.0"), ("h/aws/s3", "v2.0.0"), ("h/awsome", "v1.0.0")];
        let inside = [("h/aws", 1), ("h/aws/config", 20), ("h/aws/s3/types", 300), ("runtime", 9)];
        let go =
            |inside: &[(&str, u64)]| sizes(vec![program(OwnerKind::Go, Ecosystem::Golang, &parts, inside)]);
        let all = go(&inside);
        assert_eq!(bytes(&all, OwnerKind::Go, "h/aws", "v1.0.0"), Some(21));
        assert_eq!(bytes(&all, OwnerKind::Go, "h/aws/s3", "v2.0.0"), Some(300));
        assert_eq!(bytes(&all, OwnerKind::Go, "h/awsome", "v1.0.0"), None);
        // Packages that are listed together can be of any module.
        let cut = go(&[&inside[..], &[("others", 5)]].concat());
        assert_eq!(bytes(&cut, OwnerKind::Go, "h/aws", "v1.0.0"), None);
    }
}
