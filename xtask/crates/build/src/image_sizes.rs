//! Uncompressed sizes of images and their layers, each measured once and cached by image ID.

use std::collections::BTreeMap;
use std::thread;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use engine::context::Context;
use engine::facts::Store;
use engine::images::Image;
use engine::layers::Layer;
use host::files;
use model::bytes::Bytes;

/// The number of histories to read in parallel.
const JOBS: usize = 4;

/// The sizes of some images.
///
/// # Errors
/// When docker fails or the cache cannot be written.
pub fn image_sizes(images: &[&Image], context: &Context) -> Result<Vec<Bytes>> {
    let mut sizes = ImageSizes::load(context)?;
    let bytes = images.iter().map(|image| sizes.bytes(image)).collect::<Result<_>>()?;
    sizes.save()?;
    Ok(bytes)
}

/// Measures sizes and caches them until [`ImageSizes::save`] writes the cache.
pub(crate) struct ImageSizes<'a> {
    context: &'a Context,
    cache: SizeCache,
    store: Option<Store>,
    changed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct SizeCache {
    schema: u32,
    /// By ID: an ID is a digest of the whole image, so entries never expire.
    images: BTreeMap<String, CachedImage>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct CachedImage {
    bytes: Option<Bytes>,
    layers: Option<Vec<Layer>>,
}

impl<'a> ImageSizes<'a> {
    /// Reads the cache; one that cannot be parsed counts as empty.
    pub(crate) fn load(context: &'a Context) -> Result<Self> {
        let text = files::read_if_there(&context.repository.layer_cache())?.unwrap_or_default();
        let cache = serde_json::from_str::<SizeCache>(&text).ok().filter(|cache| cache.schema == 1);
        let cache = cache.unwrap_or(SizeCache { schema: 1, images: BTreeMap::new() });
        Ok(ImageSizes { context, cache, store: None, changed: false })
    }

    fn store(&mut self, image: &Image) -> Result<Store> {
        match self.store {
            Some(store) => Ok(store),
            // `docker info` takes longer than inspecting all images.
            None if image.engine_folder().is_some() => Ok(*self.store.insert(Store::Classic)),
            None => Ok(*self.store.insert(self.context.docker.store()?)),
        }
    }

    pub(crate) fn bytes(&mut self, image: &Image) -> Result<Bytes> {
        if let Some(bytes) = self.cache.images.get(&image.id).and_then(|cached| cached.bytes) {
            return Ok(bytes);
        }
        let bytes = match self.store(image)? {
            Store::Classic => Bytes(image.size),
            Store::Containerd => self.layers(image)?.iter().map(|layer| layer.bytes).sum(),
        };
        self.cache.images.entry(image.id.clone()).or_default().bytes = Some(bytes);
        self.changed = true;
        Ok(bytes)
    }

    /// Reads the layers of images from their histories, several in parallel. Failed images are left to [`ImageSizes::layers`].
    pub(crate) fn read_ahead(&mut self, images: &[&Image]) {
        let is_unknown = |image: &&&Image| {
            image.engine_folder().is_some()
                && self.cache.images.get(&image.id).is_none_or(|cached| cached.layers.is_none())
        };
        let unknown: BTreeMap<&str, &Image> =
            images.iter().filter(is_unknown).map(|image| (image.id.as_str(), *image)).collect();
        let unknown: Vec<&Image> = unknown.into_values().collect();
        let docker = &self.context.docker;
        let read = |image: &Image| docker.layers_from_history(image).ok().flatten();
        for some in unknown.chunks(JOBS) {
            let layers: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = some.iter().map(|image| scope.spawn(|| read(image))).collect();
                threads.into_iter().map(|thread| thread.join().ok().flatten()).collect()
            });
            for (image, layers) in some.iter().zip(layers) {
                self.cache.images.entry(image.id.clone()).or_default().layers = layers;
            }
            self.changed = true;
        }
    }

    /// The layers of an image with their sizes, base first.
    pub(crate) fn layers(&mut self, image: &Image) -> Result<Vec<Layer>> {
        if let Some(layers) = self.cache.images.get(&image.id).and_then(|cached| cached.layers.clone()) {
            return Ok(layers);
        }
        let from_history = match self.store(image)? {
            Store::Classic => self.context.docker.layers_from_history(image)?,
            Store::Containerd => None,
        };
        let layers = match from_history {
            Some(layers) => layers,
            None => self.context.docker.layers_from_save(image)?,
        };
        self.cache.images.entry(image.id.clone()).or_default().layers = Some(layers.clone());
        self.changed = true;
        Ok(layers)
    }

    /// Writes the cache if anything was measured.
    pub(crate) fn save(&self) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let json = serde_json::to_vec(&self.cache).context("the layer cache")?;
        files::write_atomically(&self.context.repository.layer_cache(), &json)
    }
}
