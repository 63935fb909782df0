//! Analyzes and compares images from anywhere: of the engine, of archives, image layouts and registries.

use std::collections::BTreeMap;

use anyhow::{Error, Result};

use crate::analysis::{analyze, explained, facts, with_origins};
use crate::cache::Cache;
use crate::changed_files::changed_files;
use crate::difference::Difference;
use crate::image::{ImageSource, ImageToAnalyze};
use crate::layers;
use crate::reading::{self, ReadLayer, ReadOptions};
use crate::record::{Contents, Layer};
use crate::tree::Tree;
use engine::context::Context;
use engine::images::HistoryEntry;
use engine::oci::HistoryLine;
use engine::stored_image::StoredImage;
use host::failure::{Failure, FailureClass, class_of};
use model::manifest::Manifest;

/// Layers by the digests of their unpacked contents.
type Layers = BTreeMap<String, ReadLayer>;

/// Analyzes an image. Without a manifest, layers have no origins.
///
/// # Errors
/// When docker or a registry fails, an image is damaged or hostile, or the user interrupts.
pub fn analyze_source(
    source: &ImageSource,
    manifest: Option<&Manifest>,
    context: &Context,
) -> Result<Contents> {
    match source {
        ImageSource::Engine(image) => {
            let mut contents = analyze(std::slice::from_ref(image), manifest, context)?;
            contents.pop().ok_or_else(|| Error::msg("no image was analyzed"))
        }
        ImageSource::Stored(stored) => {
            let cache = Cache::of(&context.repository);
            let known = stored.id().map(|id| cache.load::<Contents>(id, "")).transpose()?.flatten();
            read(stored, known, &mut Layers::new(), &cache, manifest, context).map(|(_, contents)| contents)
        }
    }
}

/// Compares two images.
///
/// # Errors
/// As for [`analyze_source`].
pub fn compare(
    sources: [&ImageSource; 2],
    manifest: Option<&Manifest>,
    context: &Context,
) -> Result<Difference> {
    let cache = Cache::of(&context.repository);
    let engine: Vec<&ImageToAnalyze> = sources
        .into_iter()
        .filter_map(|source| match source {
            ImageSource::Engine(image) => Some(image.as_ref()),
            ImageSource::Stored(_) => None,
        })
        .collect();
    let mut layers = layers::of_images(&engine, &cache, ReadOptions::default(), context)?;
    let mut read_one = |source: &ImageSource| match source {
        ImageSource::Engine(image) => {
            let contents = match cache.load(&image.image.id, "")? {
                Some(contents) => contents,
                None => explained(image, &facts(image, &layers)?, &cache, context)?,
            };
            let history = context.docker.history(&image.image.id)?;
            let contents = with_origins(contents, image, &history, manifest, context)?;
            Ok((image.as_ref().clone(), contents))
        }
        ImageSource::Stored(stored) => read(stored, None, &mut layers, &cache, manifest, context),
    };
    let read: Result<Vec<(ImageToAnalyze, Contents)>> = sources.into_iter().map(&mut read_one).collect();
    let read = read?;
    let [(first, before), (second, after)] = read.as_slice() else {
        return Err(Error::msg("internal error: expected two images"));
    };
    let (old, new) = (facts(first, &layers)?, facts(second, &layers)?);
    let files = changed_files(&Tree::of(&old), &Tree::of(&new), after);
    Ok(Difference::between(before, after, files))
}

/// Reads an image outside of the engine and explains it. Adds its layers to `layers`, unless its contents are `known`.
fn read(
    stored: &StoredImage,
    known: Option<Contents>,
    layers: &mut Layers,
    cache: &Cache,
    manifest: Option<&Manifest>,
    context: &Context,
) -> Result<(ImageToAnalyze, Contents)> {
    context.terminal.say(match known {
        Some(_) => format!("{stored}: known from an earlier run"),
        None => format!("reading {stored}{}", cache.note()),
    });
    let lines = context.terminal.lines();
    let line = lines.add("read", 0);
    let is_cached = |digest: &str| {
        layers.contains_key(digest)
            || cache.keeps()
                && cache.load::<crate::facts::LayerFacts>(digest, "").is_ok_and(|layer| layer.is_some())
    };
    let skip = |digest: &str| known.is_some() || is_cached(digest);
    let interrupt = &context.docker.runner.interrupt;
    let (found, new) = reading::read_stored(stored, &skip, ReadOptions::default(), interrupt)
        .map_err(|error| damaged(error, stored))?;
    line.finish("done");
    let image = ImageToAnalyze { reference: stored.reference().to_owned(), image: found.image };
    let contents = match known {
        Some(contents) => contents,
        None => {
            for (digest, layer) in new {
                layers::warn_if_not_stored(cache.store(&digest, "", &layer.facts), context);
                layers.insert(digest, layer);
            }
            for digest in image.image.layers() {
                if !layers.contains_key(digest)
                    && let Some(facts) = cache.load(digest, "")?
                {
                    layers.insert(digest.clone(), ReadLayer { facts, ..ReadLayer::default() });
                }
            }
            explained(&image, &facts(&image, layers)?, cache, context)?
        }
    };
    let history = history_of(&found.history, &contents.layers);
    let contents = with_origins(contents, &image, &history, manifest, context)?;
    Ok((image, contents))
}

fn damaged(error: Error, stored: &StoredImage) -> Error {
    match class_of(&error) {
        FailureClass::Failed => {
            let what = format!("cannot read {stored}: {error:#}");
            let has_help = what.lines().any(|line| line.starts_with("help: "));
            let remedy = if has_help { "" } else { "save or download the image again if it is damaged" };
            Failure::new(FailureClass::Failed, what, remedy).into()
        }
        _ => error,
    }
}

/// A configuration's history as `docker history` prints it, newest first, with the sizes of layers.
fn history_of(lines: &[HistoryLine], layers: &[Layer]) -> Vec<HistoryEntry> {
    let made = lines.iter().filter(|line| !line.empty_layer).count();
    let mut sizes = layers.iter().map(|layer| layer.bytes.0.to_string());
    let mut history: Vec<HistoryEntry> = lines
        .iter()
        .map(|line| HistoryEntry {
            created_by: line.created_by.clone(),
            size: match (line.empty_layer, made == layers.len()) {
                (true, _) => "0".to_owned(),
                (false, true) => sizes.next().unwrap_or_default(),
                // It is unclear which line made which layer.
                (false, false) => String::new(),
            },
        })
        .collect();
    history.reverse();
    history
}
