//! Waste: files that later layers hide. They still take space and download time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// Bytes of files that a later layer contains again with the same content.
    pub rewritten: Bytes,
    /// Number of those files.
    pub rewritten_files: u64,
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
    /// Whether that layer has the same content and changed only owner, mode or time.
    pub rewritten: bool,
}

impl Waste {
    /// The hidden files of an image.
    pub fn of(tree: &Tree<'_>) -> Waste {
        let mut largest = Vec::new();
        let again = Again::of(tree);
        for hidden in &tree.hidden {
            let entry = tree.entry(hidden.at);
            if let EntryKind::File { bytes, hash, .. } = entry.kind {
                let (path, bytes, layer) = (entry.path.clone(), Bytes(bytes), hidden.at.layer);
                let rewritten = hash.is_some_and(|hash| again.has(hidden.by, &path, hash));
                largest.push(WastedFile { path, bytes, layer, by: hidden.by, how: hidden.how, rewritten });
            }
        }
        let (bytes, files) = (largest.iter().map(|file| file.bytes).sum(), largest.len() as u64);
        let again = || largest.iter().filter(|file| file.rewritten);
        let (rewritten, rewritten_files) = (again().map(|file| file.bytes).sum(), again().count() as u64);
        largest
            .sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| (a.layer, &a.path).cmp(&(b.layer, &b.path))));
        largest.truncate(LARGEST);
        Waste { bytes, files, rewritten, rewritten_files, largest }
    }

    /// Wasted bytes by the layer to blame: the one that wrote a file again, otherwise the one with the hidden file. Only counts
    /// [`Waste::largest`].
    pub fn causes(&self) -> BTreeMap<usize, Bytes> {
        let mut causes: BTreeMap<usize, Bytes> = BTreeMap::new();
        for file in &self.largest {
            let layer = if file.rewritten { file.by } else { file.layer };
            let sum = causes.entry(layer).or_default();
            *sum = *sum + file.bytes;
        }
        causes
    }
}

/// Hashes of the files in layers that overwrite others.
struct Again<'f>(HashMap<usize, HashMap<&'f str, u128>>);

impl<'f> Again<'f> {
    fn of(tree: &Tree<'f>) -> Again<'f> {
        let overwriting = tree.hidden.iter().filter(|hidden| hidden.how == Hidden::Overwritten);
        let layers: BTreeSet<usize> = overwriting.map(|hidden| hidden.by).collect();
        let hashes = |layer: usize| {
            let files = tree.entries(layer).iter().filter_map(|entry| match entry.kind {
                EntryKind::File { hash, .. } => Some((entry.path.as_str(), hash?)),
                _ => None,
            });
            (layer, files.collect())
        };
        Again(layers.into_iter().map(hashes).collect())
    }

    fn has(&self, layer: usize, path: &str, hash: u128) -> bool {
        self.0.get(&layer).is_some_and(|files| files.get(path) == Some(&hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{LayerEntry, LayerFacts};

    fn layer(entries: Vec<(&str, u64, u128)>) -> LayerFacts {
        let file = |(path, bytes, hash): (&str, u64, u128)| {
            let kind = EntryKind::File { bytes, hash: Some(hash), elf: None };
            LayerEntry { path: path.into(), mode: 0o644, owner: [0; 2], kind }
        };
        LayerFacts { entries: entries.into_iter().map(file).collect(), metadata: Vec::new() }
    }

    #[test]
    fn the_layer_that_writes_a_file_again_is_the_cause() {
        let made = layer(vec![("same", 25, 1), ("other", 7, 2)]);
        let owned = layer(vec![("same", 25, 1), ("other", 7, 3)]);
        let waste = Waste::of(&Tree::of(&[&made, &owned]));
        assert_eq!((waste.bytes, waste.files), (Bytes(32), 2));
        assert_eq!((waste.rewritten, waste.rewritten_files), (Bytes(25), 1));
        assert_eq!(waste.causes(), BTreeMap::from([(0, Bytes(7)), (1, Bytes(25))]));
    }
}
