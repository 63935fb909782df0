//! The estimate as data, which is also its JSON form.

use std::cmp::Reverse;

use serde::Serialize;

use contents::owner::OwnerKind;
use model::bytes::Bytes;

/// The changed lock files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Version of this format.
    pub schema: u32,
    /// The full hash of the commit that was compared with.
    pub since: String,
    /// The tag of the images that sizes are taken from.
    pub tag: String,
    /// The changed lock files that a build can read.
    pub files: Vec<LockFileChange>,
}

/// A changed lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockFileChange {
    /// Its path, relative to the repository.
    pub file: String,
    /// The services whose builds can read it.
    pub services: Vec<String>,
    /// Why it was not read.
    pub not_read: Option<String>,
    /// The changed packages.
    pub packages: Vec<PackageChange>,
}

/// A package that is added, removed or updated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageChange {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name.
    pub name: String,
    /// The version before; `None` if it is added.
    pub before: Option<PackageVersion>,
    /// The version after; `None` if it is removed.
    pub after: Option<PackageVersion>,
}

/// A version and its size, as far as known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageVersion {
    /// An exact version, or a requirement; empty if any version will do.
    pub version: String,
    /// Whether `version` is exact.
    pub exact: bool,
    /// Whether it is for development only.
    pub development: bool,
    /// Its size in an image; `None` if it is unknown.
    pub installed: Option<InstalledSize>,
    /// The unpacked size of the published package, if its registry was asked and states it.
    pub published: Option<Bytes>,
    /// The size of its download, if the lock file or the registry states it.
    pub download: Option<DownloadSize>,
}

impl PackageVersion {
    /// Its unpacked bytes, if they are known.
    pub fn unpacked(&self) -> Option<Bytes> {
        self.installed.as_ref().map(|size| size.bytes).or(self.published)
    }
}

/// The size of a package in an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstalledSize {
    /// Unpacked bytes; for a crate or a Go module its machine code.
    pub bytes: Bytes,
    /// The image.
    pub image: String,
}

/// The packed size of a package; it depends on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DownloadSize {
    /// Bytes of the smallest download.
    pub smallest: Bytes,
    /// Bytes of the largest download.
    pub largest: Bytes,
}

impl Estimate {
    /// Sorts the packages of each file: added ones first, then by size.
    pub fn sort(&mut self) {
        for file in &mut self.files {
            file.packages.sort_by_key(|change| (change.before.is_some(), Reverse(change.largest())));
        }
    }

    /// The versions whose size is unknown, with the kinds and names of their packages.
    pub fn unknown(&mut self) -> impl Iterator<Item = (OwnerKind, &str, &mut PackageVersion)> {
        let packages = self.files.iter_mut().flat_map(|file| &mut file.packages);
        let versions = packages.flat_map(|change| {
            let (kind, name) = (change.kind, change.name.as_str());
            let versions = [&mut change.before, &mut change.after].into_iter().flatten();
            versions.map(move |version| (kind, name, version))
        });
        versions.filter(|(_, _, version)| version.exact && version.unpacked().is_none())
    }
}

impl PackageChange {
    /// The change of an image's size; `None` unless the sizes of both versions are known.
    pub fn bytes(&self) -> Option<i64> {
        let bytes = |version: &Option<PackageVersion>| match version {
            None => Some(0),
            Some(version) => version.unpacked().map(|bytes| i64::try_from(bytes.0).unwrap_or(i64::MAX)),
        };
        Some(bytes(&self.after)?.saturating_sub(bytes(&self.before)?))
    }

    fn largest(&self) -> Bytes {
        let sizes = [&self.before, &self.after]
            .into_iter()
            .flatten()
            .flat_map(|version| [version.unpacked(), version.download.map(|size| size.largest)]);
        sizes.flatten().max().unwrap_or_default()
    }
}
