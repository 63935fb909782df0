//! Waste: files that later layers hide. They still take space and download time.

use serde::{Deserialize, Serialize};

use crate::facts::EntryKind;
use crate::tree::{Hidden, Tree};
use model::bytes::Bytes;

/// How many of the largest files are listed.
const LARGEST: usize = 100;

/// All hidden files, each counted once.
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
    /// The layer that has it.
    pub layer: usize,
    /// The layer that hides it.
    pub by: usize,
    /// How.
    pub how: Hidden,
}

impl Waste {
    /// The hidden files of an image.
    pub fn of(tree: &Tree<'_>) -> Waste {
        let mut largest = Vec::new();
        for hidden in &tree.hidden {
            let entry = tree.entry(hidden.at);
            if let EntryKind::File { bytes, .. } = entry.kind {
                let (path, bytes, layer) = (entry.path.clone(), Bytes(bytes), hidden.at.layer);
                largest.push(WastedFile { path, bytes, layer, by: hidden.by, how: hidden.how });
            }
        }
        let (bytes, files) = (largest.iter().map(|file| file.bytes).sum(), largest.len() as u64);
        largest
            .sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| (a.layer, &a.path).cmp(&(b.layer, &b.path))));
        largest.truncate(LARGEST);
        Waste { bytes, files, largest }
    }
}
