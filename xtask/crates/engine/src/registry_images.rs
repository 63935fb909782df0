//! Images in a registry, read as if they were in the engine: descriptions, history, and an archive like that of `docker save`, layer by
//! layer.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::blob_cache::BlobCache;
use crate::images::{HistoryEntry, Image};
use crate::oci::{self, Choice};
use crate::registry_client::{RegistryClient, RemoteReference};
use crate::stored_image::{ManifestImage, described};
use host::process::Runner;
use model::image_ref::{Registry, path_of, repository_of};
use model::platform::Platform;

/// A registry that replaces the engine as the source of images.
pub struct RegistryImages {
    registry: Registry,
    /// The platform to choose from an index; `None` for this machine's.
    platform: Option<Platform>,
    cache: BlobCache,
    runner: Runner,
    /// The images that were looked up, by ID.
    known: Mutex<BTreeMap<String, Known>>,
}

/// An image in the registry.
struct Known {
    place: RemoteReference,
    image: ManifestImage,
    /// The configuration, as stored in the registry.
    config: Vec<u8>,
}

impl fmt::Debug for RegistryImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryImages").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl RegistryImages {
    /// The images of a registry. Layers are kept in `cache`.
    pub fn new(
        registry: Registry,
        platform: Option<Platform>,
        cache: BlobCache,
        runner: &Runner,
    ) -> RegistryImages {
        RegistryImages { registry, platform, cache, runner: runner.clone(), known: Mutex::default() }
    }

    /// The registry's image for a local reference; `None` if it is missing.
    ///
    /// # Errors
    /// When the registry does not answer or denies access, no image fits, or a digest is wrong.
    pub(crate) fn look(&self, reference: &str) -> Result<Option<Image>> {
        let repository = repository_of(reference);
        let version = &reference[repository.len()..];
        let name = format!("{}/{}{version}", self.registry, path_of(repository));
        let place: RemoteReference = name.parse()?;
        let client = RegistryClient::new(place.clone(), &self.runner);
        self.runner.interrupt.check()?;
        let found =
            client.find_manifest(place.version()).with_context(|| format!("cannot look up {name}"))?;
        let Some(manifest) = found else { return Ok(None) };
        let choice = Choice { name: None, platform: self.platform.clone() };
        let image = client.image(&manifest, &choice).with_context(|| format!("cannot read {name}"))?;
        let config = client.read_blob(&image.id, oci::MOST_JSON)?;
        let about = described(image.id.clone(), &image.config, vec![reference.to_owned()]);
        self.known().insert(image.id.clone(), Known { place, image, config });
        Ok(Some(about))
    }

    /// The instructions of an image that was looked up, newest first. The registry does not know the layers' sizes.
    ///
    /// # Errors
    /// When the image was not looked up.
    pub(crate) fn history(&self, id: &str) -> Result<Vec<HistoryEntry>> {
        let known = self.known();
        let lines = known.get(id).with_context(|| not_looked_up(id))?.image.config.history.iter().flatten();
        let entry = |line: &oci::HistoryLine| HistoryEntry {
            created_by: line.created_by.clone(),
            size: if line.empty_layer { "0".to_owned() } else { String::new() },
        };
        Ok(lines.rev().map(entry).collect())
    }

    /// Reads an archive of images that were looked up, like that of `docker save`. All its digests are verified.
    ///
    /// # Errors
    /// When a layer cannot be fetched or a digest is wrong; errors of `read`.
    pub(crate) fn save<T: Send>(
        &self,
        images: &[&Image],
        read: impl FnOnce(&mut dyn Read) -> Result<T> + Send,
    ) -> Result<T> {
        let (mut reader, writer) = io::pipe().context("cannot create a pipe")?;
        thread::scope(|scope| {
            let written = scope.spawn(move || self.write(images, writer));
            let result = read(&mut reader);
            // Stops the writer if not everything was read.
            drop(reader);
            match written.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                Err(error) if !is_closed(&error) => Err(error),
                _ => result,
            }
        })
    }

    fn write(&self, images: &[&Image], to: impl Write) -> Result<()> {
        let known = self.known();
        let mut archive = tar::Builder::new(to);
        let mut manifest = Vec::new();
        let mut written: Vec<String> = Vec::new();
        for image in images {
            let Known { place, image, config } =
                known.get(&image.id).with_context(|| not_looked_up(&image.id))?;
            let client = RegistryClient::new(place.clone(), &self.runner);
            let blob = |digest: &str| oci::hex(digest).map(|hex| format!("blobs/sha256/{hex}"));
            let diff_ids = &image.config.rootfs.diff_ids;
            if diff_ids.len() != image.layers.len() {
                let (config, manifest) = (diff_ids.len(), image.layers.len());
                anyhow::bail!("{place}: the configuration has {config} layers, the manifest {manifest}");
            }
            let mut names = Vec::new();
            for (diff_id, layer) in diff_ids.iter().zip(&image.layers) {
                self.runner.interrupt.check()?;
                let name = blob(&layer.digest)?;
                if !written.contains(&name) {
                    let fetch = |one: &oci::Descriptor| client.blob(one);
                    let mut file = self
                        .cache
                        .layer(layer, diff_id, &fetch)
                        .with_context(|| format!("{place}: layer {}", layer.digest))?;
                    let bytes = file.metadata().context("cannot read a layer")?.len();
                    archive.append_data(&mut header(bytes), &name, &mut file)?;
                    written.push(name.clone());
                }
                names.push(name);
            }
            let name = blob(&image.id)?;
            archive.append_data(&mut header(config.len() as u64), &name, config.as_slice())?;
            manifest.push(serde_json::json!({"Config": name, "Layers": names}));
        }
        let manifest = serde_json::to_vec(&manifest).context("the archive's manifest")?;
        archive.append_data(&mut header(manifest.len() as u64), "manifest.json", manifest.as_slice())?;
        archive.into_inner()?.flush()?;
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o644);
    header
}

fn not_looked_up(id: &str) -> String {
    format!("internal error: {id} was not looked up in the registry")
}

/// Whether the reader has stopped reading.
fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    })
}
