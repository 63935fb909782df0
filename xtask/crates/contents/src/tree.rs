//! Layers laid upon each other: what a container sees in the end, and what it does not.

use std::collections::{BTreeMap, HashMap};

use crate::facts::{Entry, Kind, LayerFacts};
use crate::waste::Hidden;

/// An entry by layer and by place in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct At {
    /// Index of the layer, base first.
    pub layer: usize,
    /// Index in the layer's entries.
    pub entry: usize,
}

/// A file that nothing shows any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The file.
    pub at: At,
    /// The layer that hides it.
    pub by: usize,
    /// How.
    pub how: Hidden,
}

/// What a container sees. Hard links are resolved: each name leads to the entry that holds the bytes.
#[derive(Debug)]
pub struct Tree<'f> {
    layers: Vec<&'f LayerFacts>,
    /// Every path to its entry, and to the file that holds its bytes where that is another entry.
    seen: BTreeMap<&'f str, Node>,
    /// Files with bytes that no path leads to.
    pub lost: Vec<Lost>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    at: At,
    /// Where the bytes are: the entry itself, or the one that it is a hard link to.
    file: At,
}

/// A file that a container sees, under the first of its names.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'f> {
    /// Its path.
    pub path: &'f str,
    /// The entry that holds the bytes.
    pub at: At,
    /// Its size.
    pub bytes: u64,
    /// Its permission bits.
    pub mode: u32,
    /// All of it.
    pub kind: &'f Kind,
}

impl<'f> Tree<'f> {
    /// Lays layers upon each other, base first.
    pub fn of(layers: &[&'f LayerFacts]) -> Tree<'f> {
        let mut tree = Tree { layers: layers.to_vec(), seen: BTreeMap::new(), lost: Vec::new() };
        let mut hidden = Vec::new();
        for layer in 0..layers.len() {
            tree.delete(layer, &mut hidden);
            tree.add(layer, &mut hidden);
        }
        tree.lose(&hidden);
        tree
    }

    /// Marks of deletion mean lower layers only, wherever in the layer's tar they stand.
    fn delete(&mut self, layer: usize, hidden: &mut Vec<Lost>) {
        let layers = self.layers.clone();
        for entry in &layers[layer].entries {
            match entry.kind {
                Kind::Whiteout => {
                    self.hide(&entry.path, layer, Hidden::Deleted, hidden);
                    self.hide_below(&entry.path, layer, Hidden::Deleted, hidden);
                }
                Kind::Opaque => self.hide_below(&entry.path, layer, Hidden::Deleted, hidden),
                _ => {}
            }
        }
    }

    fn add(&mut self, layer: usize, hidden: &mut Vec<Lost>) {
        let layers: Vec<&'f LayerFacts> = self.layers.clone();
        // Most files lie beside the one before: what is above them is looked at once.
        let mut sound = None;
        for (index, entry) in layers[layer].entries.iter().enumerate() {
            let path = entry.path.as_str();
            if matches!(entry.kind, Kind::Whiteout | Kind::Opaque) || path.is_empty() {
                continue;
            }
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            if sound != Some(folder) {
                self.clear_the_way(folder, layer, hidden);
                sound = Some(folder);
            }
            let at = At { layer, entry: index };
            let file = match &entry.kind {
                // A link to nothing has no bytes: it stands for itself.
                Kind::HardLink(target) => self.seen.get(target.as_str()).map_or(at, |node| node.file),
                _ => at,
            };
            if matches!(entry.kind, Kind::Folder) {
                if self.kind(path).is_some_and(|kind| !matches!(kind, Kind::Folder)) {
                    self.hide(path, layer, Hidden::Overwritten, hidden);
                }
            } else {
                self.hide(path, layer, Hidden::Overwritten, hidden);
                self.hide_below(path, layer, Hidden::Overwritten, hidden);
            }
            self.seen.insert(path, Node { at, file });
        }
    }

    /// A path needs folders above it: whatever else stood there is gone.
    fn clear_the_way(&mut self, folder: &'f str, layer: usize, hidden: &mut Vec<Lost>) {
        let ends = folder.match_indices('/').map(|(at, _)| at).chain([folder.len()]);
        for end in ends {
            let above = &folder[..end];
            if !above.is_empty() && self.kind(above).is_some_and(|kind| !matches!(kind, Kind::Folder)) {
                self.hide(above, layer, Hidden::Overwritten, hidden);
            }
        }
    }

    fn hide(&mut self, path: &str, by: usize, how: Hidden, hidden: &mut Vec<Lost>) {
        if let Some(node) = self.seen.remove(path) {
            hidden.push(Lost { at: node.file, by, how });
        }
    }

    fn hide_below(&mut self, folder: &str, by: usize, how: Hidden, hidden: &mut Vec<Lost>) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below: Vec<&str> = self
            .seen
            .range::<str, _>((std::ops::Bound::Included(prefix.as_str()), std::ops::Bound::Unbounded))
            .map(|(path, _)| *path)
            .take_while(|path| path.starts_with(&prefix))
            .collect();
        for path in below {
            self.hide(path, by, how, hidden);
        }
    }

    /// Of what was hidden, the files that no other name shows.
    fn lose(&mut self, hidden: &[Lost]) {
        let mut shown: std::collections::HashSet<At> = self.seen.values().map(|node| node.file).collect();
        // The last name that was taken away is what hid the bytes.
        for lost in hidden.iter().rev() {
            if shown.insert(lost.at) && matches!(self.entry(lost.at).kind, Kind::File { .. }) {
                self.lost.push(*lost);
            }
        }
        self.lost.reverse();
    }

    /// An entry.
    pub fn entry(&self, at: At) -> &'f Entry {
        &self.layers[at.layer].entries[at.entry]
    }

    /// What stands at a path.
    pub fn kind(&self, path: &str) -> Option<&'f Kind> {
        self.seen.get(path).map(|node| &self.entry(node.at).kind)
    }

    /// Whether this very entry is what stands at its path.
    pub fn shows(&self, path: &str, layer: usize) -> bool {
        self.seen.get(path).is_some_and(|node| node.at.layer == layer)
    }

    /// The file that holds the bytes of a path.
    pub fn file_at(&self, path: &str) -> Option<At> {
        self.seen.get(path).map(|node| node.file)
    }

    /// Every regular file that a container sees, once, under the first of its names, in the order of paths.
    pub fn files(&self) -> Vec<Seen<'f>> {
        let mut once = HashMap::new();
        let mut files = Vec::new();
        for (path, node) in &self.seen {
            let entry = self.entry(node.file);
            if let Kind::File { bytes, .. } = entry.kind
                && once.insert(node.file, ()).is_none()
            {
                files.push(Seen { path, at: node.file, bytes, mode: entry.mode, kind: &entry.kind });
            }
        }
        files
    }

    /// Every path that a container sees.
    pub fn paths(&self) -> impl Iterator<Item = &'f str> + '_ {
        self.seen.keys().copied()
    }

    /// A path with the links of its folders followed, as a container would: never out of the image.
    pub fn real(&self, path: &str) -> String {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        // As many as Linux follows (path_resolution(7)).
        let mut links = 40;
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            if todo.is_empty() {
                break;
            }
            if let Some(Kind::Symlink(target)) = self.kind(&done.join("/"))
                && links > 0
            {
                links -= 1;
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                todo.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        done.join("/")
    }
}
