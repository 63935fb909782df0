//! Who brought bytes into an image.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::FileBytes;
use model::bytes::Bytes;

/// What kind of thing brought files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerKind {
    /// A package of Debian's or its kin's.
    Dpkg,
    /// A Python distribution.
    Python,
    /// A package of npm's.
    Npm,
    /// A program written in Rust.
    Rust,
    /// A language's runtime that no package manager brought, as upstream images hold one.
    Runtime,
    /// Another program that no package brought.
    Program,
    /// Weights of a model and what lies beside them.
    Model,
    /// Files that a web server hands out.
    Static,
    /// The service's own code.
    Own,
    /// Nobody known.
    Unowned,
}

impl OwnerKind {
    /// For people.
    pub fn words(self) -> &'static str {
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
        f.pad(self.words())
    }
}

/// Someone who brought files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// What kind of thing.
    pub kind: OwnerKind,
    /// Its name: a package, a program's path, a folder.
    pub name: String,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// The licence that its metadata declares.
    pub licence: Option<String>,
    /// Where its kind names one, the package URL (purl-spec).
    pub purl: Option<String>,
    /// Bytes that a container sees.
    pub bytes: Bytes,
    /// Regular files, each hard link counted once.
    pub files: u64,
    /// Its bytes by layer; layers without any are left out.
    pub layers: Vec<Share>,
    /// Its largest files.
    pub largest: Vec<FileBytes>,
    /// What it is compiled from, where the program says so (cargo-auditable).
    pub parts: Vec<Part>,
}

/// Bytes in one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Index into the image's layers, base first.
    pub layer: usize,
    /// Bytes.
    pub bytes: Bytes,
}

/// A crate in a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

impl Owner {
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
