//! Bytes that an image carries and no container sees, and bytes that it carries more than once.

use serde::{Deserialize, Serialize};

use model::bytes::Bytes;

/// How a later layer hides a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hidden {
    /// Something else stands at its path.
    Overwritten,
    /// It was deleted, by itself or with a folder.
    Deleted,
}

/// All that is hidden, each file counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waste {
    /// Bytes.
    pub bytes: Bytes,
    /// Files.
    pub files: u64,
    /// The largest of them.
    pub largest: Vec<WastedFile>,
}

/// A file that a later layer hides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WastedFile {
    /// From the image's root.
    pub path: String,
    /// Its size.
    pub bytes: Bytes,
    /// The layer that holds it.
    pub layer: usize,
    /// The layer that hides it.
    pub by: usize,
    /// How.
    pub how: Hidden,
}

/// Equal files that a container sees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duplicates {
    /// Bytes that one copy of each would save.
    pub bytes: Bytes,
    /// Files more than needed.
    pub files: u64,
    /// The groups that cost most.
    pub largest: Vec<Group>,
}

/// Files of one content. Hard links are one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Bytes of one of them.
    pub each: Bytes,
    /// Bytes that one copy would save.
    pub extra: Bytes,
    /// Where they are.
    pub paths: Vec<String>,
}
