//! Which paths of an image a trial keeps, given the files that must stay.

use std::collections::{BTreeMap, BTreeSet};

use crate::diet::rules;
use contents::owned_files::OwnedFiles;
use engine::flat_image::{FlatImage, FlatPath};
use engine::layer_tar::LayerEntryKind;
use engine::symlinks;

/// An image's files with their owners.
#[derive(Debug)]
pub(super) struct Files<'i> {
    pub(super) image: &'i FlatImage,
    pub(super) owned: &'i OwnedFiles,
    /// The inode that each symbolic link resolves to.
    links: BTreeMap<&'i str, Option<usize>>,
}

/// What a trial keeps.
#[derive(Debug, Default, Clone)]
pub(super) struct Selection<'i> {
    /// Inodes of regular files.
    pub(super) files: BTreeSet<usize>,
    links: BTreeSet<&'i str>,
    /// The rule for each additional file that stays.
    pub(super) rules: BTreeMap<usize, &'static str>,
}

impl Selection<'_> {
    /// Whether a path stays: folders, devices and empty files always do.
    pub(super) fn keeps(&self, path: &FlatPath<'_>) -> bool {
        match path.entry.kind {
            LayerEntryKind::File { bytes, .. } => bytes == 0 || self.files.contains(&path.inode),
            LayerEntryKind::Symlink(_) => self.links.contains(path.path),
            _ => true,
        }
    }
}

impl<'i> Files<'i> {
    pub(super) fn new(image: &'i FlatImage, owned: &'i OwnedFiles) -> Files<'i> {
        let link = |path: FlatPath<'i>| match &path.entry.kind {
            LayerEntryKind::Symlink(_) => Some((path.path, resolve(image, path.path))),
            _ => None,
        };
        Files { image, owned, links: image.paths().filter_map(link).collect() }
    }

    /// The owner of the file at a path, by index.
    pub(super) fn owner(&self, path: &str) -> Option<usize> {
        self.owned.at(path).map(|file| file.owner)
    }

    /// Regular files that are not empty, once each.
    pub(super) fn all(&self) -> BTreeMap<usize, FlatPath<'i>> {
        let mut all = BTreeMap::new();
        for path in self.image.paths().filter(|path| path.bytes().is_some_and(|bytes| bytes > 0)) {
            all.entry(path.inode).or_insert(path);
        }
        all
    }

    /// The inodes of recorded paths; paths outside the image are left out.
    pub(super) fn inodes<'p>(&self, paths: impl Iterator<Item = &'p String>) -> BTreeSet<usize> {
        let file = |path: &String| self.image.at(path).filter(|found| found.bytes().is_some());
        paths.filter_map(|path| Some(file(path)?.inode)).collect()
    }

    /// Everything to keep if these files must stay.
    pub(super) fn with(&self, must: &BTreeSet<usize>) -> Selection<'i> {
        let mut kept = Selection { files: must.clone(), ..Selection::default() };
        for path in self.image.paths() {
            if must.contains(&path.inode)
                && let Some((beside, reason)) = rules::companion(path.path)
                && let Some(beside) = self.image.at(&beside)
            {
                kept.add(beside.inode, reason);
            }
        }
        let staying = self.image.paths().filter(|path| kept.files.contains(&path.inode));
        let owners: BTreeSet<usize> = staying.filter_map(|path| self.owner(path.path)).collect();
        // A package's documentation folder may be a link to another package's.
        for owner in &owners {
            let copyright = format!("usr/share/doc/{}/copyright", self.owned.owners[*owner].name);
            if let Some(inode) = resolve(self.image, &copyright) {
                kept.add(inode, "distributing the image requires the licence");
            }
        }
        for path in self.image.paths().filter(|path| path.bytes().is_some()) {
            if let Some(reason) = rules::of_owner(path.path)
                && self.owner(path.path).is_some_and(|owner| owners.contains(&owner))
            {
                kept.add(path.inode, reason);
            }
        }
        for (place, reason) in rules::ALWAYS {
            match place.strip_suffix('/') {
                Some(_) => {
                    let below = self.image.paths().filter(|path| path.path.starts_with(place));
                    below.for_each(|path| kept.add(path.inode, reason));
                }
                None => {
                    if let Some(inode) = resolve(self.image, place) {
                        kept.add(inode, reason);
                    }
                }
            }
        }
        let stays = |target: &Option<usize>| {
            target.is_none_or(|inode| !self.is_file(inode) || kept.files.contains(&inode))
        };
        kept.links = self.links.iter().filter(|(_, target)| stays(target)).map(|(path, _)| *path).collect();
        kept
    }

    /// Whether it is a regular file that is not empty.
    fn is_file(&self, inode: usize) -> bool {
        self.image.bytes_of(inode).is_some_and(|bytes| bytes > 0)
    }
}

impl Selection<'_> {
    fn add(&mut self, inode: usize, reason: &'static str) {
        if self.files.insert(inode) {
            self.rules.insert(inode, reason);
        }
    }
}

/// Resolves a path, following all links; `None` if it leads out of the image.
fn resolve(image: &FlatImage, path: &str) -> Option<usize> {
    let link = |path: &str| match image.at(path).map(|found| &found.entry.kind) {
        Some(LayerEntryKind::Symlink(target)) => Some(target.as_str()),
        _ => None,
    };
    // `/.` follows the last component too.
    image.at(&symlinks::real(&format!("{path}/."), link)?).map(|found| found.inode)
}
