//! Owners: the packages, programs and folders that an image's files belong to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::attribution::dpkg::UNLISTED;
use crate::facts::{LinkedCrate, SourcePackage};
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
    /// A program written in Rust.
    Rust,
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
            OwnerKind::Rust => "rust",
            OwnerKind::Runtime => "runtime",
            OwnerKind::Program => "program",
            OwnerKind::Model => "model",
            OwnerKind::Static => "static files",
            OwnerKind::Own => "own code",
            OwnerKind::Unowned => "unowned",
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
    /// The crates in it (cargo-auditable).
    pub parts: Vec<LinkedCrate>,
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
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.clone(),
        }
    }
}
