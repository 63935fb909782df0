//! Analyzes images: their records, everything in them, and the packed sizes of their layers. What is cached is not read again.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::thread;

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::explain::explain;
use crate::facts::{LayerFacts, MetadataFile};
use crate::image::ImageToAnalyze;
use crate::reading::{ReadLayer, ReadOptions};
use crate::record::Contents;
use crate::scan::{FoundSecret, Scanner};
use crate::tree::Tree;
use crate::{layers, origins};
use engine::context::Context;
use engine::images::{HistoryEntry, Image};
use host::paths::Repository;
use model::bytes::Bytes;
use model::manifest::Manifest;

/// An image with everything in it, for checks that need more than its record.
#[derive(Debug)]
pub struct Inside<'f> {
    /// The image.
    pub image: &'f Image,
    /// Its record.
    pub contents: Contents,
    /// What a container sees.
    pub tree: Tree<'f>,
    /// The metadata files that a container sees.
    pub metadata: Vec<&'f MetadataFile>,
    /// Secrets by layer, including those that a later layer hides.
    pub secrets: Vec<(usize, &'f FoundSecret)>,
    /// Its history, newest first.
    pub history: Vec<HistoryEntry>,
}

/// Analyzes images.
///
/// # Errors
/// When docker fails, an image is damaged or hostile, or the user interrupts.
pub fn analyze<'m>(
    images: &[ImageToAnalyze],
    manifest: impl Into<Option<&'m Manifest>>,
    context: &Context,
) -> Result<Vec<Contents>> {
    let manifest = manifest.into();
    let cache = Cache::of(&context.repository);
    let cached = images.iter().map(|image| cache.load::<Contents>(&image.image.id, ""));
    let cached: Vec<_> = cached.collect::<Result<_>>()?;
    let missing = images.iter().zip(&cached).filter(|(_, cached)| cached.is_none()).map(|(image, _)| image);
    // The engine answers while it saves.
    let (layers, histories) = thread::scope(|scope| {
        let history = |image: &ImageToAnalyze| context.docker.history(&image.image.id);
        let histories = scope.spawn(move || images.iter().map(history).collect::<Result<Vec<_>>>());
        let missing: Vec<_> = missing.collect();
        let layers = layers::of_images(&missing, &cache, ReadOptions::default(), context);
        (layers, histories.join().unwrap_or_else(|panic| resume_unwind(panic)))
    });
    let (layers, histories) = (layers?, histories?);
    let analyzed = images.iter().zip(cached).zip(histories).map(|((image, cached), history)| {
        let contents = match cached {
            Some(contents) => contents,
            None => explained(image, &facts(image, &layers)?, &cache, context)?,
        };
        with_origins(contents, image, &history, manifest, context)
    });
    analyzed.collect()
}

/// Analyzes images, looks for secrets too, and hands over everything in them.
///
/// # Errors
/// As for [`analyze`].
pub fn inspect<T>(
    images: &[ImageToAnalyze],
    scanner: &Scanner,
    manifest: &Manifest,
    context: &Context,
    each: &mut dyn FnMut(&Inside<'_>) -> T,
) -> Result<Vec<T>> {
    let cache = Cache::of(&context.repository);
    let options = ReadOptions { scanner: Some(scanner), packed: false };
    let layers = layers::of_images(&images.iter().collect::<Vec<_>>(), &cache, options, context)?;
    let inspected = images.iter().map(|image| {
        let facts = facts(image, &layers)?;
        let contents = match cache.load(&image.image.id, "")? {
            Some(contents) => contents,
            None => explained(image, &facts, &cache, context)?,
        };
        let history = clean_history(&image.image.id, &cache, scanner, context)?;
        let contents = with_origins(contents, image, &history, Some(manifest), context)?;
        let tree = Tree::of(&facts);
        let secrets_of =
            |digest| layers.get(digest).and_then(|layer| layer.secrets.as_deref()).unwrap_or_default();
        let by_layer = image.image.layers().iter().enumerate();
        let secrets =
            by_layer.flat_map(|(index, digest)| secrets_of(digest).iter().map(move |found| (index, found)));
        let (image, metadata, secrets) = (&image.image, tree.metadata(), secrets.collect());
        Ok(each(&Inside { image, contents, tree, metadata, secrets, history }))
    });
    inspected.collect()
}

/// The cached record of an image by its ID, without the origins of its layers.
///
/// # Errors
/// An invalid ID.
pub fn cached_contents(id: &str, repository: &Repository) -> Result<Option<Contents>> {
    Cache::of(repository).load(id, "")
}

/// The packed sizes of all layers of some images, by digest.
///
/// # Errors
/// As for [`analyze`].
pub fn packed_sizes(images: &[ImageToAnalyze], context: &Context) -> Result<BTreeMap<String, Bytes>> {
    let options = ReadOptions { scanner: None, packed: true };
    let cache = Cache::of(&context.repository);
    let layers = layers::of_images(&images.iter().collect::<Vec<_>>(), &cache, options, context)?;
    Ok(layers.into_iter().filter_map(|(digest, layer)| Some((digest, Bytes(layer.packed?)))).collect())
}

pub(crate) fn facts<'f>(
    image: &ImageToAnalyze,
    layers: &'f BTreeMap<String, ReadLayer>,
) -> Result<Vec<&'f LayerFacts>> {
    let ImageToAnalyze { reference, image } = image;
    let facts = |digest: &String| match layers.get(digest) {
        Some(layer) => Ok(&layer.facts),
        None => bail!("layer {digest} of {reference} was not read"),
    };
    image.layers().iter().map(facts).collect()
}

/// Explains an image and stores its record.
pub(crate) fn explained(
    image: &ImageToAnalyze,
    facts: &[&LayerFacts],
    cache: &Cache,
    context: &Context,
) -> Result<Contents> {
    let ImageToAnalyze { reference, image } = image;
    let contents = explain(reference, image, facts)?;
    layers::warn_if_not_stored(cache.store(&image.id, "", &contents), context);
    Ok(contents)
}

/// The history of an image, cached because `docker history` takes longer than everything else. A history that contains a secret
/// is not cached.
fn clean_history(id: &str, cache: &Cache, scanner: &Scanner, context: &Context) -> Result<Vec<HistoryEntry>> {
    if let Some(history) = cache.load(id, scanner.fingerprint())? {
        return Ok(history);
    }
    let history = context.docker.history(id)?;
    if history.iter().all(|line| scanner.text(&line.created_by).is_empty()) {
        layers::warn_if_not_stored(cache.store(id, scanner.fingerprint(), &history), context);
    }
    Ok(history)
}

/// A record with the origins of its layers.
pub(crate) fn with_origins(
    mut contents: Contents,
    image: &ImageToAnalyze,
    history: &[HistoryEntry],
    manifest: Option<&Manifest>,
    context: &Context,
) -> Result<Contents> {
    // The same image may have been cached under another reference.
    contents.image.clone_from(&image.reference);
    origins::find(&mut contents, &image.image, history, manifest, &context.repository)?;
    Ok(contents)
}
