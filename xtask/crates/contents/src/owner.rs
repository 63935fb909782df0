//! Owners: the packages, programs and folders that an image's files belong to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::attribution::dpkg::UNLISTED;
use crate::facts::{Ecosystem, InsideBytes, Part, SourcePackage};
use crate::file_bytes::FileBytes;
use model::bytes::Bytes;

/// The kind of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerKind {
    /// A Debian package.
    Dpkg,
    /// A Python distribution.
    Python,
    /// An npm package.
    Npm,
    /// An Alpine package.
    Apk,
    /// An RPM package.
    Rpm,
    /// A Conda package.
    Conda,
    /// A Ruby gem.
    Gem,
    /// A PHP package (Composer).
    Composer,
    /// A Java archive.
    Maven,
    /// A .NET package.
    Nuget,
    /// A program written in Rust.
    Rust,
    /// A program written in Go.
    Go,
    /// A language runtime that was installed without a package manager, as in upstream images.
    Runtime,
    /// A program outside of packages.
    Program,
    /// A model's weights and the files beside them.
    Model,
    /// Files that a web server serves.
    Static,
    /// The service's own code.
    Own,
    /// No known owner.
    #[default]
    Unowned,
}

impl OwnerKind {
    /// The kind as tables show it.
    pub fn name(self) -> &'static str {
        match self {
            OwnerKind::Dpkg => "dpkg",
            OwnerKind::Python => "python",
            OwnerKind::Npm => "npm",
            OwnerKind::Apk => "apk",
            OwnerKind::Rpm => "rpm",
            OwnerKind::Conda => "conda",
            OwnerKind::Gem => "gem",
            OwnerKind::Composer => "composer",
            OwnerKind::Maven => "maven",
            OwnerKind::Nuget => "nuget",
            OwnerKind::Rust => "rust",
            OwnerKind::Go => "go",
            OwnerKind::Runtime => "runtime",
            OwnerKind::Program => "program",
            OwnerKind::Model => "model",
            OwnerKind::Static => "static files",
            OwnerKind::Own => "own code",
            OwnerKind::Unowned => "unowned",
        }
    }
}

impl From<Ecosystem> for OwnerKind {
    fn from(ecosystem: Ecosystem) -> OwnerKind {
        match ecosystem {
            Ecosystem::Apk => OwnerKind::Apk,
            Ecosystem::Rpm => OwnerKind::Rpm,
            Ecosystem::Conda => OwnerKind::Conda,
            Ecosystem::Gem => OwnerKind::Gem,
            Ecosystem::Composer => OwnerKind::Composer,
            Ecosystem::Maven => OwnerKind::Maven,
            Ecosystem::Nuget => OwnerKind::Nuget,
            Ecosystem::Project => OwnerKind::Own,
            Ecosystem::Cargo => OwnerKind::Rust,
            Ecosystem::Golang => OwnerKind::Go,
        }
    }
}

impl fmt::Display for OwnerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An owner with its bytes in one image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name: a package, a program's path, a folder.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// The licence that its metadata declares.
    pub licence: Option<String>,
    /// Its package URL (purl-spec), if its kind has one.
    pub purl: Option<String>,
    /// The source package of a Debian package.
    pub source: Option<SourcePackage>,
    /// Bytes that a container sees.
    pub bytes: Bytes,
    /// Regular files, each hard link counted once.
    pub files: u64,
    /// Its bytes by layer, without layers that have none.
    pub layers: Vec<LayerShare>,
    /// Its largest files.
    pub largest: Vec<FileBytes>,
    /// The packages that were built into it: crates (cargo-auditable), Go modules, artifacts in a Java archive.
    pub parts: Vec<Part>,
    /// What its programs and archives contain, largest first: machine code by crate or Go package, packed bytes by nested
    /// archive. A part of `bytes`.
    pub inside: Vec<InsideBytes>,
}

/// Bytes in one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerShare {
    /// Index into the image's layers, base first.
    pub layer: usize,
    /// Bytes.
    pub bytes: Bytes,
}

impl Owner {
    /// Whether it stands for the files of packages that list none, and not for a package.
    pub fn is_rest_of_packages(&self) -> bool {
        self.kind == OwnerKind::Dpkg && self.name == UNLISTED
    }

    /// The layer that holds most of its bytes.
    pub fn main_layer(&self) -> Option<usize> {
        // The first of equals, so that equal images give equal reports.
        self.layers.iter().rev().max_by_key(|share| share.bytes).map(|share| share.layer)
    }

    /// `name version`.
    pub fn label(&self) -> String {
        label(&self.name, self.version.as_deref())
    }
}

/// `name version`.
pub(crate) fn label(name: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}
