//! Packages of Alpine, RPM, Conda, RubyGems, Composer, Maven and .NET: the files and folders that their databases and manifests
//! list, and what the installation of system packages generates.

use std::collections::{BTreeSet, HashMap};

use crate::attribution::claims::{Claims, folders_above};
use crate::facts::{Ecosystem, Installed, Metadata, MetadataFile};
use crate::owner::OwnerKind;
use crate::purl;
use crate::tree::Tree;

/// Packages of the system and Conda's: they install the other package managers.
pub const SYSTEM: [Ecosystem; 3] = [Ecosystem::Apk, Ecosystem::Rpm, Ecosystem::Conda];
/// Packages of a language.
pub const LANGUAGE: [Ecosystem; 5] =
    [Ecosystem::Gem, Ecosystem::Composer, Ecosystem::Nuget, Ecosystem::Project, Ecosystem::Maven];

/// The package managers that own a database, even if they are not in the image themselves.
const MANAGERS: [(Ecosystem, &str); 2] = [(Ecosystem::Apk, "apk-tools"), (Ecosystem::Rpm, "rpm")];

/// Paths that no package lists: installation, or a program of the package, writes them.
const GENERATED: [(OwnerKind, &str, &str); 15] = [
    (OwnerKind::Apk, "lib/apk/", "apk-tools"),
    (OwnerKind::Apk, "usr/lib/apk/", "apk-tools"),
    (OwnerKind::Apk, "etc/apk/", "apk-tools"),
    (OwnerKind::Apk, "var/cache/apk/", "apk-tools"),
    (OwnerKind::Apk, "var/log/apk.log", "apk-tools"),
    (OwnerKind::Apk, "etc/ssl/certs/", "ca-certificates"),
    (OwnerKind::Rpm, "var/lib/rpm/", "rpm"),
    (OwnerKind::Rpm, "usr/lib/sysimage/rpm/", "rpm"),
    (OwnerKind::Rpm, "usr/share/rpm/", "rpm"),
    (OwnerKind::Rpm, "var/lib/dnf/", "dnf"),
    (OwnerKind::Rpm, "var/cache/dnf/", "dnf"),
    (OwnerKind::Rpm, "var/lib/yum/", "yum"),
    (OwnerKind::Rpm, "var/cache/yum/", "yum"),
    (OwnerKind::Rpm, "etc/pki/ca-trust/extracted/", "ca-certificates"),
    (OwnerKind::Rpm, "usr/lib/locale/", "glibc-common"),
];

/// Claims the files that packages list. Returns the number of packages. Files listed by a system package belong to it: the gems in
/// a Debian package belong to Debian.
pub fn claim(
    tree: &Tree<'_>,
    metadata: &[&MetadataFile],
    ecosystems: &[Ecosystem],
    claims: &mut Claims<'_, '_>,
) -> u64 {
    let release = metadata.iter().find_map(|file| match &file.metadata {
        Metadata::Os { id, version, .. } => Some((id.as_str(), version.as_str())),
        _ => None,
    });
    let (mut links, mut owned, mut owners) = (HashMap::new(), Folders::default(), BTreeSet::new());
    for file in metadata {
        let Metadata::Installed(all) = &file.metadata else { continue };
        if claims.lister(&file.path).is_some() || is_shared_framework(&file.path) {
            continue;
        }
        let kinds: BTreeSet<Ecosystem> = all.iter().map(|found| found.ecosystem).collect();
        for found in all.iter().filter(|found| ecosystems.contains(&found.ecosystem)) {
            let owner = describe(found, release, claims);
            owners.insert(owner);
            for path in &found.files {
                let real = tree.listed(path, &mut links);
                if let Some(at) = tree.file_at(&real) {
                    claims.claim(at, owner);
                }
                claims.list(real, owner);
            }
            found.folders.iter().for_each(|folder| owned.add(folder, owner));
        }
        let manager = MANAGERS
            .iter()
            .find(|(ecosystem, _)| kinds.contains(ecosystem) && ecosystems.contains(ecosystem));
        if let (Some((ecosystem, name)), Some(at)) = (manager, tree.file_at(&file.path)) {
            let owner = claims.owner(OwnerKind::from(*ecosystem), name);
            claims.claim(at, owner);
        }
    }
    if !owned.is_empty() {
        claims.offer(|file, _| owned.owner(file.path));
    }
    owners.len() as u64
}

fn describe(found: &Installed, release: Option<(&str, &str)>, claims: &mut Claims<'_, '_>) -> usize {
    let Installed { ecosystem, package, parts, inside, .. } = found;
    let kind = OwnerKind::from(*ecosystem);
    let owner = match package.version.as_str() {
        "" => claims.owner(kind, &package.name),
        version if SYSTEM.contains(ecosystem) => {
            // Only one version of a system package is installed, and generated paths contain no version.
            let owner = claims.owner(kind, &package.name);
            claims.owner_mut(owner).version = Some(version.to_owned());
            owner
        }
        version => claims.owner_of_version(kind, &package.name, version),
    };
    let filled = claims.owner_mut(owner);
    filled.licence.clone_from(&package.licence);
    filled.purl = purl::installed(found, release);
    filled.parts.extend(parts.iter().cloned());
    filled.parts.sort();
    filled.parts.dedup();
    filled.inside.extend(inside.iter().cloned());
    owner
}

/// The files of .NET's shared frameworks belong to the runtime, not to packages.
fn is_shared_framework(path: &str) -> bool {
    path.ends_with(".deps.json") && path.contains("/shared/Microsoft.")
}

/// Claims what the installation of system packages generates, and everything in folders of a single package.
pub fn generated(claims: &mut Claims<'_, '_>) {
    let kinds = SYSTEM.map(OwnerKind::from);
    if !claims.has(&kinds) {
        return;
    }
    // Many packages share `usr/lib` and similar folders.
    let exclusive = claims.exclusive_folders(&kinds, |folder| folder.matches('/').count() < 2);
    claims.offer(|file, claims| {
        let generated = GENERATED.iter().find_map(|(kind, prefix, name)| {
            file.path.starts_with(prefix).then(|| claims.existing(*kind, name)).flatten()
        });
        generated.or_else(|| exclusive.owner(file.path))
    });
}

/// Folders with their owners. The innermost matching folder decides.
#[derive(Debug, Default)]
struct Folders {
    exact: HashMap<String, usize>,
    /// Patterns with two arbitrary folders: the part before them and the part after them.
    wild: HashMap<(String, String), usize>,
}

impl Folders {
    fn add(&mut self, folder: &str, owner: usize) {
        match folder.split_once("/*/*/") {
            Some((before, behind)) => {
                self.wild.entry((before.to_owned(), behind.to_owned())).or_insert(owner)
            }
            None => self.exact.entry(folder.to_owned()).or_insert(owner),
        };
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wild.is_empty()
    }

    fn owner(&self, path: &str) -> Option<usize> {
        folders_above(path)
            .find_map(|folder| self.exact.get(folder).or_else(|| self.behind_two(folder)).copied())
    }

    fn behind_two(&self, folder: &str) -> Option<&usize> {
        if self.wild.is_empty() {
            return None;
        }
        let (above, last) = folder.rsplit_once('/')?;
        let before = above.rsplit_once('/')?.0.rsplit_once('/')?.0;
        self.wild.get(&(before.to_owned(), last.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_folder_decides() {
        let mut folders = Folders::default();
        folders.add("a/gems/x-1", 1);
        folders.add("a/gems/x-1/vendor/y", 2);
        folders.add("a/extensions/*/*/x-1", 3);
        assert_eq!(folders.owner("a/gems/x-1/lib/x.rb"), Some(1));
        assert_eq!(folders.owner("a/gems/x-1/vendor/y/z"), Some(2));
        assert_eq!(folders.owner("a/extensions/x86_64-linux/3.1.0/x-1/gem.build_complete"), Some(3));
        assert_eq!(folders.owner("a/extensions/x86_64-linux/x-1/x.so"), None);
        assert_eq!(folders.owner("a/gems/x-10/lib"), None);
    }
}
