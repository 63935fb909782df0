//! Layers applied in order: which files a container sees, and which are hidden by later layers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::facts::{Elf, EntryKind, LayerEntry, LayerFacts, MetadataFile};
use engine::symlinks;

/// An entry of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId {
    /// Index of the layer, base first.
    pub layer: usize,
    /// Index in the layer's entries.
    pub entry: usize,
}

/// How a later layer hides a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hidden {
    /// Another entry has its path.
    Overwritten,
    /// It was deleted, by itself or with a folder.
    Deleted,
}

/// A file that a later layer hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HiddenFile {
    /// The file.
    pub at: EntryId,
    /// The layer that hides it.
    pub by: usize,
    /// How.
    pub how: Hidden,
}

/// What a container sees. Hard links are resolved: each name leads to the entry with the bytes.
#[derive(Debug)]
pub struct Tree<'f> {
    layers: Vec<&'f LayerFacts>,
    nodes: BTreeMap<&'f str, Node>,
    /// Files that no path leads to.
    pub hidden: Vec<HiddenFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    at: EntryId,
    /// The entry with the bytes: itself, or the target of a hard link.
    file: EntryId,
}

/// A file that a container sees, under the first of its names.
#[derive(Debug, Clone, Copy)]
pub struct VisibleFile<'f> {
    /// From the image's root.
    pub path: &'f str,
    /// The entry with the bytes.
    pub at: EntryId,
    /// Its size.
    pub bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// XXH3 of its content; `None` for sparse and empty files.
    pub hash: Option<u128>,
    /// For a program or a library.
    pub elf: Option<&'f Elf>,
}

impl<'f> VisibleFile<'f> {
    /// The last part of its path.
    pub fn name(&self) -> &'f str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

impl<'f> Tree<'f> {
    /// Applies layers in order, base first.
    pub fn of(layers: &[&'f LayerFacts]) -> Tree<'f> {
        let mut tree = Tree { layers: layers.to_vec(), nodes: BTreeMap::new(), hidden: Vec::new() };
        for layer in 0..layers.len() {
            tree.delete(layer);
            tree.add(layer);
        }
        tree.keep_hidden();
        tree
    }

    /// Whiteouts apply to lower layers only, whatever their position in the tar (OCI image-spec, layer.md).
    fn delete(&mut self, layer: usize) {
        let layers = self.layers.clone();
        for entry in &layers[layer].entries {
            match entry.kind {
                EntryKind::Whiteout => {
                    self.hide(&entry.path, layer, Hidden::Deleted);
                    self.hide_below(&entry.path, layer, Hidden::Deleted);
                }
                EntryKind::Opaque => self.hide_below(&entry.path, layer, Hidden::Deleted),
                _ => {}
            }
        }
    }

    fn add(&mut self, layer: usize) {
        let layers: Vec<&'f LayerFacts> = self.layers.clone();
        // Most files are in the folder of the one before, which then is not checked again.
        let mut checked = None;
        for (index, entry) in layers[layer].entries.iter().enumerate() {
            let path = entry.path.as_str();
            if matches!(entry.kind, EntryKind::Whiteout | EntryKind::Opaque) || path.is_empty() {
                continue;
            }
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if checked != Some(folder) {
                self.replace_with_folders(folder, layer);
                checked = Some(folder);
            }
            let at = EntryId { layer, entry: index };
            let file = match &entry.kind {
                // A link to a missing file has no bytes.
                EntryKind::HardLink(target) => self.nodes.get(target.as_str()).map_or(at, |node| node.file),
                _ => at,
            };
            if matches!(entry.kind, EntryKind::Folder) {
                if self.kind(path).is_some_and(|kind| !matches!(kind, EntryKind::Folder)) {
                    self.hide(path, layer, Hidden::Overwritten);
                }
            } else {
                self.hide(path, layer, Hidden::Overwritten);
                self.hide_below(path, layer, Hidden::Overwritten);
            }
            self.nodes.insert(path, Node { at, file });
        }
    }

    /// A path needs folders above it: anything else there is overwritten.
    fn replace_with_folders(&mut self, folder: &'f str, layer: usize) {
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for end in ends {
            let above = &folder[..end];
            if !above.is_empty() && self.kind(above).is_some_and(|kind| !matches!(kind, EntryKind::Folder)) {
                self.hide(above, layer, Hidden::Overwritten);
            }
        }
    }

    fn hide(&mut self, path: &str, by: usize, how: Hidden) {
        if let Some(node) = self.nodes.remove(path) {
            self.hidden.push(HiddenFile { at: node.file, by, how });
        }
    }

    fn hide_below(&mut self, folder: &str, by: usize, how: Hidden) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below: Vec<&str> = self
            .nodes
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .map(|(path, _)| *path)
            .take_while(|path| path.starts_with(&prefix))
            .collect();
        for path in below {
            self.hide(path, by, how);
        }
    }

    /// Keeps the hidden files that have no other visible name.
    fn keep_hidden(&mut self) {
        let hidden = std::mem::take(&mut self.hidden);
        let mut shown: HashSet<EntryId> = self.nodes.values().map(|node| node.file).collect();
        // The bytes are hidden since the last of their names is gone.
        for file in hidden.into_iter().rev() {
            if shown.insert(file.at) && matches!(self.entry(file.at).kind, EntryKind::File { .. }) {
                self.hidden.push(file);
            }
        }
        self.hidden.reverse();
    }

    /// The entries of a layer.
    pub fn entries(&self, layer: usize) -> &'f [LayerEntry] {
        &self.layers[layer].entries
    }

    /// An entry.
    pub fn entry(&self, at: EntryId) -> &'f LayerEntry {
        &self.layers[at.layer].entries[at.entry]
    }

    /// The kind of entry at a path.
    pub fn kind(&self, path: &str) -> Option<&'f EntryKind> {
        self.nodes.get(path).map(|node| &self.entry(node.at).kind)
    }

    /// The folder at a path, if a layer has an entry for it.
    pub fn folder(&self, path: &str) -> Option<&'f LayerEntry> {
        let entry = self.entry(self.nodes.get(path)?.at);
        matches!(entry.kind, EntryKind::Folder).then_some(entry)
    }

    /// Whether a container sees this layer's entry at a path.
    pub fn shows(&self, path: &str, layer: usize) -> bool {
        self.nodes.get(path).is_some_and(|node| node.at.layer == layer)
    }

    /// Metadata files that a container sees.
    pub fn metadata(&self) -> Vec<&'f MetadataFile> {
        let layers = self.layers.iter().enumerate();
        let files = layers.flat_map(|(layer, facts)| facts.metadata.iter().map(move |file| (layer, file)));
        files.filter(|(layer, file)| self.shows(&file.path, *layer)).map(|(_, file)| file).collect()
    }

    /// The metadata files of all layers, including hidden ones.
    pub fn all_metadata(&self) -> impl Iterator<Item = &'f MetadataFile> {
        self.layers.iter().flat_map(|facts| &facts.metadata)
    }

    /// The file with the bytes of a path.
    pub fn file_at(&self, path: &str) -> Option<EntryId> {
        self.nodes.get(path).map(|node| node.file)
    }

    /// The regular file at a path.
    pub fn visible(&self, path: &str) -> Option<VisibleFile<'f>> {
        let (path, node) = self.nodes.get_key_value(path)?;
        self.visible_at(path, node.file)
    }

    fn visible_at(&self, path: &'f str, at: EntryId) -> Option<VisibleFile<'f>> {
        let LayerEntry { mode, kind, .. } = self.entry(at);
        let EntryKind::File { bytes, hash, elf } = kind else { return None };
        Some(VisibleFile { path, at, bytes: *bytes, mode: *mode, hash: *hash, elf: elf.as_deref() })
    }

    /// Every regular file that a container sees, once, sorted by path.
    pub fn files(&self) -> Vec<VisibleFile<'f>> {
        let mut seen = HashSet::new();
        let files = self.nodes.iter().filter_map(|(path, node)| self.visible_at(path, node.file));
        files.filter(|file| seen.insert(file.at)).collect()
    }

    /// Every path that a container sees.
    pub fn paths(&self) -> impl Iterator<Item = &'f str> + '_ {
        self.nodes.keys().copied()
    }

    /// A path with the symbolic links of its folders resolved, never out of the image.
    pub fn real(&self, path: &str) -> String {
        let link = |path: &str| match self.kind(path) {
            Some(EntryKind::Symlink(target)) => Some(target.as_str()),
            _ => None,
        };
        symlinks::real(path, link).unwrap_or_else(|| path.to_owned())
    }

    /// A path as a package lists it: `/lib/x` may be there as `usr/lib/x`, where `/lib` is a link to `usr/lib`. `folders` keeps the
    /// links that were resolved before.
    pub fn listed(&self, path: &str, folders: &mut HashMap<String, String>) -> String {
        if self.file_at(path).is_some() {
            return path.to_owned();
        }
        let Some((folder, name)) = path.rsplit_once('/') else { return path.to_owned() };
        // `.` makes the folder a link to follow.
        let found = folders
            .entry(folder.to_owned())
            .or_insert_with(|| self.real(&format!("{folder}/.")).trim_end_matches('/').to_owned());
        if found.is_empty() { name.to_owned() } else { format!("{found}/{name}") }
    }
}
