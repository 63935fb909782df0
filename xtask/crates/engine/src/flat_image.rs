//! The files of an image as a container sees them: layers and whiteouts applied. Contents are in an unnamed temporary file, which
//! disappears with this process; only names and metadata are in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek as _, Write as _};
use std::ops::Bound;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::archive::{self, Verify};
use crate::docker::Docker;
use crate::images::Image;
use crate::layer_tar::{self, Budget, LayerEntry, LayerEntryKind};
use host::failure::{Failure, FailureClass};
use host::files;

/// An image with its layers applied.
#[derive(Debug)]
pub struct FlatImage {
    /// Its whole configuration (OCI image specification, "Image Configuration").
    pub(crate) config: Value,
    /// By path; hard links share an inode.
    names: BTreeMap<String, usize>,
    inodes: Vec<Inode>,
    /// Contents of files, one after the other.
    pub(crate) contents: File,
}

/// A file, folder, link or device, and where its content begins.
#[derive(Debug, Clone)]
pub(crate) struct Inode {
    pub(crate) entry: LayerEntry,
    pub(crate) at: u64,
}

/// One path of an image.
#[derive(Debug, Clone, Copy)]
pub struct FlatPath<'f> {
    /// From the image's root, without slashes at its ends; empty for the root.
    pub path: &'f str,
    /// Equal for all hard links of a file.
    pub inode: usize,
    /// The entry. Its own path is its first hard link's.
    pub entry: &'f LayerEntry,
}

impl FlatPath<'_> {
    /// The size of a regular file; `None` for everything else.
    pub fn bytes(&self) -> Option<u64> {
        match self.entry.kind {
            LayerEntryKind::File { bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

impl Docker {
    /// Reads an image. Needs as much space in `folder` as the sum of its layers.
    ///
    /// # Errors
    /// When docker cannot save the image; the image is damaged or hostile or has sparse files; the disk is full.
    pub fn flatten(&self, image: &Image, folder: &Path) -> Result<FlatImage> {
        files::create_dir(folder)?;
        let in_folder = || format!("cannot write a temporary file in {}", folder.display());
        let contents = tempfile::tempfile_in(folder).with_context(in_folder)?;
        let interrupt = &self.runner.interrupt;
        let read = |archive: &mut dyn Read| {
            read(archive, contents, &|| interrupt.check().map_err(anyhow::Error::from))
        };
        self.save(&[image], read).with_context(|| format!("cannot read image {}", image.id))
    }
}

/// Reads the archive of one image.
pub(crate) fn read(
    archive: &mut dyn Read,
    contents: File,
    check: &dyn Fn() -> Result<()>,
) -> Result<FlatImage> {
    let mut spool = BufWriter::with_capacity(1 << 17, contents);
    let (mut at, mut budget) = (0, Budget::default());
    let mut layers: BTreeMap<String, Vec<Inode>> = BTreeMap::new();
    let index = archive::read(archive, Verify::Nothing, &mut |name, layer| {
        let mut entries = Vec::new();
        layer_tar::read(layer, &mut budget, &mut |entry, content| {
            check()?;
            let start = at;
            match entry.kind {
                LayerEntryKind::File { readable: false, .. } => {
                    let what = format!("/{} is a sparse file in its layer's tar", entry.path);
                    bail!(Failure::new(FailureClass::Failed, what, "write it without holes, or omit it"));
                }
                LayerEntryKind::File { .. } => {
                    at += io::copy(content, &mut spool).context("cannot write the image's files")?;
                }
                _ => {}
            }
            entries.push(Inode { entry, at: start });
            Ok(())
        })?;
        layers.insert(name.to_owned(), entries);
        Ok(())
    })?;
    let (config, order) = index.only_image()?;
    spool.flush().context("cannot write the image's files")?;
    let mut contents = spool.into_inner().context("cannot write the image's files")?;
    contents.rewind()?;
    let mut image = FlatImage { config, names: BTreeMap::new(), inodes: Vec::new(), contents };
    for layer in order {
        // An image may have the same layer twice.
        image.apply(layers.get(&layer.name).map(Vec::as_slice).unwrap_or_default());
    }
    Ok(image)
}

impl FlatImage {
    /// Every path, sorted.
    pub fn paths(&self) -> impl Iterator<Item = FlatPath<'_>> {
        self.names.iter().map(|(path, inode)| FlatPath {
            path,
            inode: *inode,
            entry: &self.inodes[*inode].entry,
        })
    }

    /// The entry at a path.
    pub fn at(&self, path: &str) -> Option<FlatPath<'_>> {
        let (path, inode) = self.names.get_key_value(path)?;
        Some(FlatPath { path, inode: *inode, entry: &self.inodes[*inode].entry })
    }

    /// The image's configuration.
    pub fn config(&self) -> &Value {
        &self.config
    }

    /// The size of a regular file by its inode; `None` for everything else.
    pub fn bytes_of(&self, inode: usize) -> Option<u64> {
        match self.inodes.get(inode)?.entry.kind {
            LayerEntryKind::File { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn inode(&self, inode: usize) -> &Inode {
        &self.inodes[inode]
    }

    /// Applies a layer (OCI image specification, "Applying Changesets"). Whiteouts affect only lower layers, wherever they are in the tar.
    fn apply(&mut self, layer: &[Inode]) {
        for Inode { entry, .. } in layer {
            match entry.kind {
                LayerEntryKind::Whiteout => {
                    self.names.remove(&entry.path);
                    self.remove_below(&entry.path);
                }
                LayerEntryKind::Opaque => self.remove_below(&entry.path),
                _ => {}
            }
        }
        for inode in layer {
            let LayerEntry { path, kind, .. } = &inode.entry;
            if matches!(kind, LayerEntryKind::Whiteout | LayerEntryKind::Opaque) {
                continue;
            }
            self.remove_files_above(path);
            if !matches!(kind, LayerEntryKind::Folder) {
                self.remove_below(path);
            }
            let linked = match kind {
                LayerEntryKind::HardLink(target) => self.names.get(target).copied(),
                _ => None,
            };
            let number = linked.unwrap_or_else(|| {
                self.inodes.push(inode.clone());
                self.inodes.len() - 1
            });
            self.names.insert(path.clone(), number);
        }
        // Skip a hard link whose target is missing.
        let inodes = &self.inodes;
        self.names.retain(|_, inode| !matches!(inodes[*inode].entry.kind, LayerEntryKind::HardLink(_)));
    }

    /// Adds missing parent folders of a path.
    fn remove_files_above(&mut self, path: &str) {
        for (end, _) in path.match_indices('/') {
            let above = &path[..end];
            let is_folder = |inode: &usize| matches!(self.inodes[*inode].entry.kind, LayerEntryKind::Folder);
            if self.names.get(above).is_some_and(|inode| !is_folder(inode)) {
                self.names.remove(above);
            }
        }
    }

    fn remove_below(&mut self, folder: &str) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let from = (Bound::Excluded(prefix.clone()), Bound::Unbounded);
        let below = self.names.range(from).map(|(path, _)| path);
        let below: Vec<String> = below.take_while(|path| path.starts_with(&prefix)).cloned().collect();
        for path in below {
            self.names.remove(&path);
        }
    }
}
