//! What is known of layers: from the cache, else read from `docker save`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use anyhow::{Error, Result};

use crate::cache::Cache;
use crate::image::ImageToAnalyze;
use crate::reading::{self, ReadLayer, ReadOptions};
use engine::context::Context;
use engine::images::Image;
use host::failure::{Failure, FailureClass, class_of};

/// Images up to this size together are saved at once. The engine first copies all that it saves onto its disk: several large
/// images would need room for all of them, but one after another only for the largest.
const MAX_BATCH: u64 = 2_000_000_000;

/// What is known of the layers of some images, by digest. Layers that are not cached are read.
///
/// # Errors
/// When docker cannot save them, an image is damaged or hostile, or the user interrupts.
pub fn of_images(
    images: &[&ImageToAnalyze],
    cache: &Cache,
    options: ReadOptions<'_>,
    context: &Context,
) -> Result<BTreeMap<String, ReadLayer>> {
    let digests: BTreeSet<&String> = images.iter().flat_map(|image| image.image.layers()).collect();
    let mut known = BTreeMap::new();
    for &digest in &digests {
        if let Some(layer) = load(digest, cache, options)? {
            known.insert(digest.clone(), layer);
        }
    }
    let is_incomplete = |image: &&ImageToAnalyze, known: &BTreeMap<String, ReadLayer>| {
        image.image.layers().iter().any(|digest| !known.contains_key(digest))
    };
    let unread: Vec<_> = images.iter().copied().filter(|image| is_incomplete(image, &known)).collect();
    for mut batch in batches(&unread) {
        // An earlier batch may have had all their layers.
        batch.retain(|image| is_incomplete(image, &known));
        if batch.is_empty() {
            continue;
        }
        for (digest, layer) in read(&batch, &known, cache, options, context)? {
            if digests.contains(&digest) && !known.contains_key(&digest) {
                warn_if_not_stored(store(&digest, &layer, cache, options), context);
                known.insert(digest, layer);
            }
        }
    }
    Ok(known)
}

/// Without a cache entry, the next run only takes longer.
pub fn warn_if_not_stored(stored: Result<()>, context: &Context) {
    if let Err(error) = stored {
        context.terminal.warn(format!("the next run reads this image again: {error:#}"));
    }
}

/// A layer from the cache, if everything that is requested of it is there.
fn load(digest: &str, cache: &Cache, options: ReadOptions<'_>) -> Result<Option<ReadLayer>> {
    let secrets = match options.scanner {
        Some(scanner) => Some(cache.load(digest, scanner.fingerprint())?),
        None => None,
    };
    let packed = if options.packed { Some(cache.load(digest, "")?) } else { None };
    if matches!(secrets, Some(None)) || matches!(packed, Some(None)) {
        return Ok(None);
    }
    let facts = cache.load(digest, "")?;
    Ok(facts.map(|facts| ReadLayer { facts, secrets: secrets.flatten(), packed: packed.flatten() }))
}

fn store(digest: &str, layer: &ReadLayer, cache: &Cache, options: ReadOptions<'_>) -> Result<()> {
    cache.store(digest, "", &layer.facts)?;
    if let Some((scanner, secrets)) = options.scanner.zip(layer.secrets.as_ref()) {
        cache.store(digest, scanner.fingerprint(), secrets)?;
    }
    layer.packed.map_or(Ok(()), |bytes| cache.store(digest, "", &bytes))
}

/// Small images together, because layers that they share are read once; a large image by itself. An image with two names is
/// saved once.
fn batches<'a>(images: &[&'a ImageToAnalyze]) -> Vec<Vec<&'a ImageToAnalyze>> {
    let mut batches: Vec<(u64, Vec<&ImageToAnalyze>)> = Vec::new();
    for &image in images {
        let Image { id, size, .. } = &image.image;
        if batches.iter().flat_map(|(_, batch)| batch).any(|other| other.image.id == *id) {
            continue;
        }
        match batches.iter_mut().find(|(sum, _)| sum.saturating_add(*size) <= MAX_BATCH) {
            Some((sum, batch)) => {
                *sum += size;
                batch.push(image);
            }
            None => batches.push((*size, vec![image])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

/// Reads the unknown layers of a batch.
fn read(
    batch: &[&ImageToAnalyze],
    known: &BTreeMap<String, ReadLayer>,
    cache: &Cache,
    options: ReadOptions<'_>,
    context: &Context,
) -> Result<HashMap<String, ReadLayer>> {
    let names: Vec<&str> = batch.iter().map(|image| image.reference.as_str()).collect();
    let action = if options.packed { "reading and compressing" } else { "reading" };
    let what = match names.len() {
        1..=3 => names.join(" and "),
        count => format!("{count} images"),
    };
    context.terminal.say(format!("{action} {what}{}", cache.note()));
    let lines = context.terminal.lines();
    let source = if context.docker.registry.is_some() { "registry" } else { "docker save" };
    let line = lines.add(source, 0);
    // An unpacked blob is named by its own digest, which is also the layer's.
    let skip = |name: &str| {
        name.strip_prefix("blobs/sha256/").is_some_and(|hex| known.contains_key(&format!("sha256:{hex}")))
    };
    let images: Vec<&Image> = batch.iter().map(|image| &image.image).collect();
    let interrupt = &context.docker.runner.interrupt;
    let damaged = |error: Error| match class_of(&error) {
        FailureClass::Failed => {
            let what = format!("cannot read {}: {error:#}", names.join(" and "));
            Failure::new(FailureClass::Failed, what, "pull or build the image again if it is damaged").into()
        }
        _ => error,
    };
    let read = |archive: &mut dyn Read| reading::read(archive, &skip, options, interrupt);
    let read = context.docker.save(&images, read).map_err(damaged)?;
    line.finish("done");
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_images_are_saved_alone_and_small_ones_together() {
        let image = |name: &str, id: &str, size: u64| ImageToAnalyze {
            reference: name.to_owned(),
            image: serde_json::from_value(serde_json::json!({"Id": id, "Size": size})).unwrap(),
        };
        let images = [
            image("a", "1", 900_000_000),
            image("large", "2", 6_260_000_000),
            image("b", "3", 900_000_000),
            image("larger", "4", 7_000_000_000),
            image("a-again", "1", 900_000_000),
            image("c", "5", 900_000_000),
        ];
        let batches = batches(&images.iter().collect::<Vec<_>>());
        let names: Vec<Vec<&str>> = batches
            .iter()
            .map(|batch| batch.iter().map(|image| image.reference.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "b"], vec!["large"], vec!["larger"], vec!["c"]]);
    }
}
