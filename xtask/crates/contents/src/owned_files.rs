//! The files of an image, each with its owner, for commands that work on single files.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;

use crate::analysis::facts;
use crate::attribution::attribute;
use crate::cache::Cache;
use crate::hints::Hints;
use crate::image::ImageToAnalyze;
use crate::layers;
use crate::owner::Owner;
use crate::reading::ReadOptions;
use crate::tree::Tree;
use engine::context::Context;
use model::bytes::Bytes;

/// A file that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedFile {
    /// From the image's root, without a leading slash; the first of its names.
    pub path: String,
    /// Its size.
    pub bytes: Bytes,
    /// Its owner, by index.
    pub owner: usize,
}

/// The files that a container sees, and their owners.
#[derive(Debug, Default)]
pub struct OwnedFiles {
    /// Every regular file once, sorted by path.
    pub files: Vec<OwnedFile>,
    /// The owners, in no particular order.
    pub owners: Vec<Owner>,
    /// Every name of every file, including hard links, with its index in `files`.
    pub names: BTreeMap<String, usize>,
}

impl OwnedFiles {
    /// The files of an image in the engine. Layers that were analyzed before are not read again.
    ///
    /// # Errors
    /// As for [`crate::analysis::analyze`].
    pub fn of(image: &ImageToAnalyze, context: &Context) -> Result<OwnedFiles> {
        let cache = Cache::of(&context.repository);
        let layers = layers::of_images(&[image], &cache, ReadOptions::default(), context)?;
        let facts = facts(image, &layers)?;
        let tree = Tree::of(&facts);
        let attribution = attribute(&tree, &tree.metadata(), &Hints::of(&image.image));
        let index: HashMap<_, _> =
            attribution.files.iter().enumerate().map(|(index, file)| (file.at, index)).collect();
        let name = |path: &str| Some((path.to_owned(), *index.get(&tree.visible(path)?.at)?));
        let files = attribution.files.iter().zip(&attribution.owner_of);
        let files = files.map(|(file, owner)| OwnedFile {
            path: file.path.to_owned(),
            bytes: Bytes(file.bytes),
            owner: *owner,
        });
        Ok(OwnedFiles {
            files: files.collect(),
            names: tree.paths().filter_map(name).collect(),
            owners: attribution.owners,
        })
    }

    /// The file with this name.
    pub fn at(&self, name: &str) -> Option<&OwnedFile> {
        self.files.get(*self.names.get(name)?)
    }
}
