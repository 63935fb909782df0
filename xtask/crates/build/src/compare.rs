//! Measuring images and setting them beside their originals, targets and goals.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::comparison::{Comparison, Measured, Original, Row, Total, Verdict};
use engine::context::Context;
use engine::docker::Docker;
use engine::facts::Store;
use engine::images::Image;
use engine::layers::Layer;
use engine::records;
use engine::records::RecordKind;
use host::files;
use host::paths::Repository;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Compares the images of some services as they stand in the engine. What all of them came to is kept as a record.
///
/// # Errors
/// When the engine cannot be asked or an image cannot be read.
pub fn compare(
    manifest: &Manifest,
    services: &[&Service],
    edition: Edition,
    tag: &Tag,
    context: &Context,
) -> Result<Comparison> {
    let reference = |service: &Service, variant| ImageRef::of(&service.image, tag, edition, variant);
    let references: Vec<String> = services
        .iter()
        .flat_map(|service| Variant::ALL.map(|variant| reference(service, variant).to_string()))
        .collect();
    let found = context.docker.inspect(&references)?;
    let mut sizes = Sizes::load(&context.docker, &context.repository)?;
    let mut rows = Vec::new();
    let mut optimized_layers = BTreeMap::new();
    for service in services {
        let built = |variant| {
            let image_ref = reference(service, variant);
            found.get(&image_ref.to_string()).map(|image| (image_ref, image))
        };
        let optimized = match built(Variant::Optimized) {
            None => None,
            Some((image_ref, image)) => {
                let layers = sizes.layers(image)?;
                optimized_layers.extend(layers.into_iter().map(|layer| (layer.diff_id, layer.bytes)));
                Some(Measured {
                    image: image_ref.to_string(),
                    id: image.id.clone(),
                    bytes: sizes.bytes(image)?,
                })
            }
        };
        let promised = service.sizes(edition);
        let original = match (built(Variant::Original), promised.guide_original) {
            (Some((image_ref, image)), _) => Original::Built {
                measured: Measured {
                    image: image_ref.to_string(),
                    id: image.id.clone(),
                    bytes: sizes.bytes(image)?,
                },
                stand_in: image.is_on_stand_ins(&manifest.project),
            },
            (None, Some(bytes)) => Original::Guide { bytes },
            (None, None) => Original::Missing,
        };
        rows.push(row(service, original, optimized, promised.target, promised.goal));
    }
    sizes.save()?;
    let comparison = Comparison {
        schema: 1,
        edition,
        tag: tag.to_string(),
        total: Total::of(&rows),
        unique_bytes: rows
            .iter()
            .any(|row| row.optimized.is_some())
            .then(|| optimized_layers.values().copied().sum()),
        services: rows,
        fleet: None,
    };
    if records::is_whole(services, manifest) {
        let of = records::made_of(RecordKind::Comparison, manifest, edition, tag, &found, context)?;
        records::keep(RecordKind::Comparison, of, &comparison, context)?;
    }
    Ok(comparison)
}

/// Unpacked bytes of images, each read once and remembered.
///
/// # Errors
/// When docker cannot be asked or the cache not be written.
pub fn bytes_of(images: &[&Image], context: &Context) -> Result<Vec<Bytes>> {
    let mut sizes = Sizes::load(&context.docker, &context.repository)?;
    let bytes = images.iter().map(|image| sizes.bytes(image)).collect::<Result<_>>()?;
    sizes.save()?;
    Ok(bytes)
}

fn row(
    service: &Service,
    original: Original,
    optimized: Option<Measured>,
    target: Option<Bytes>,
    goal: Option<Bytes>,
) -> Row {
    let bytes = optimized.as_ref().map(|measured| measured.bytes);
    // The guide's figure for an original was measured elsewhere: there is no ratio to it.
    let both = original.built().zip(bytes);
    Row {
        service: service.name.clone(),
        saved: both.map(|(original, optimized)| original - optimized),
        saved_percent: both.and_then(|(original, optimized)| optimized.saved_of(original)),
        verdict: Verdict::of(bytes, target, goal),
        original,
        optimized,
        target,
        goal,
    }
}

/// What is known of an image: it never changes, since the ID is a digest of all of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Known {
    bytes: Option<Bytes>,
    layers: Option<Vec<Layer>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Cache {
    schema: u32,
    images: BTreeMap<String, Known>,
}

/// Sizes of images, each read once and remembered.
struct Sizes<'a> {
    docker: &'a Docker,
    repository: &'a Repository,
    cache: Cache,
    store: Option<Store>,
    changed: bool,
}

impl<'a> Sizes<'a> {
    fn load(docker: &'a Docker, repository: &'a Repository) -> Result<Self> {
        let text = files::read_if_there(&repository.layer_cache())?.unwrap_or_default();
        // A cache that cannot be read is an empty one.
        let cache = serde_json::from_str::<Cache>(&text).ok().filter(|cache| cache.schema == 1);
        let cache = cache.unwrap_or(Cache { schema: 1, images: BTreeMap::new() });
        Ok(Sizes { docker, repository, cache, store: None, changed: false })
    }

    fn store(&mut self) -> Result<Store> {
        match self.store {
            Some(store) => Ok(store),
            None => Ok(*self.store.insert(self.docker.store()?)),
        }
    }

    fn bytes(&mut self, image: &Image) -> Result<Bytes> {
        if let Some(bytes) = self.cache.images.get(&image.id).and_then(|known| known.bytes) {
            return Ok(bytes);
        }
        let bytes = match self.store()? {
            Store::Classic => Bytes(image.size),
            Store::Containerd => self.layers(image)?.iter().map(|layer| layer.bytes).sum(),
        };
        self.cache.images.entry(image.id.clone()).or_default().bytes = Some(bytes);
        self.changed = true;
        Ok(bytes)
    }

    fn layers(&mut self, image: &Image) -> Result<Vec<Layer>> {
        if let Some(layers) = self.cache.images.get(&image.id).and_then(|known| known.layers.clone()) {
            return Ok(layers);
        }
        let told = match self.store()? {
            Store::Classic => self.docker.layers_from_history(image)?,
            Store::Containerd => None,
        };
        let layers = match told {
            Some(layers) => layers,
            None => self.docker.layers_from_save(image)?,
        };
        self.cache.images.entry(image.id.clone()).or_default().layers = Some(layers.clone());
        self.changed = true;
        Ok(layers)
    }

    fn save(&self) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let json = serde_json::to_vec(&self.cache).context("the layer cache")?;
        files::write_atomically(&self.repository.layer_cache(), &json)
    }
}
