//! Images outside of the engine: in archives, image layouts and registries. All provide a configuration, and layers as
//! streams. Nothing is unpacked to disk, and all digests are verified during reading.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};
use host::failure::{Failure, FailureClass, class_of};
use host::process::Runner;

use crate::archive::{self, SavedLayer, Verify};
use crate::blob::{self, Packing};
use crate::images::{Image, RootFs};
use crate::layout::Layout;
use crate::oci::{self, Choice, Descriptor, HistoryLine, ImageConfig};
use crate::registry_client::{RegistryClient, RemoteReference};

/// An image outside of the engine.
pub struct StoredImage {
    /// How it was requested.
    reference: String,
    choice: Choice,
    place: Place,
}

enum Place {
    /// A tar, maybe compressed; `None` is standard input.
    Archive(Option<PathBuf>),
    Layout(Layout, Box<ManifestImage>),
    Registry(RegistryClient, Box<ManifestImage>),
}

/// An image that is described by a manifest. Its layers are not read yet.
pub(crate) struct ManifestImage {
    /// Digest of the configuration.
    pub(crate) id: String,
    pub(crate) config: ImageConfig,
    /// Base first.
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) names: Vec<String>,
}

/// What was read of an image.
#[derive(Debug)]
pub struct ReadImage {
    /// The image, as the engine would describe it. Its ID is the digest of its configuration, as on the classic store.
    pub image: Image,
    /// Its instructions, oldest first.
    pub history: Vec<HistoryLine>,
    /// Its layers, base first, with the names that `visit` got.
    pub layers: Vec<SavedLayer>,
}

impl StoredImage {
    /// An archive of `docker save`, or an OCI layout in a tar. `path`: `None` is standard input.
    pub fn archive(reference: &str, path: Option<&Path>, choice: Choice) -> StoredImage {
        let place = Place::Archive(path.map(Path::to_owned));
        StoredImage { reference: reference.to_owned(), choice, place }
    }

    /// An OCI layout in a folder.
    ///
    /// # Errors
    /// When it is damaged, no image fits, or several do.
    pub fn layout(reference: &str, folder: &Path, choice: Choice) -> Result<StoredImage> {
        let place = place_of(Some(folder));
        let layout = Layout::new(folder);
        let image = layout.image(&choice, &place).map_err(|error| unreadable(error, &layout.to_string()))?;
        let place = Place::Layout(layout, Box::new(image));
        Ok(StoredImage { reference: reference.to_owned(), choice, place })
    }

    /// An image in a registry. Asks for its manifest and configuration. The inner error says why the image is missing or
    /// access is denied.
    ///
    /// # Errors
    /// When no image fits the platform, a digest is wrong or the connection breaks.
    pub fn registry(
        reference: &str,
        remote: RemoteReference,
        choice: Choice,
        runner: &Runner,
    ) -> Result<Result<StoredImage>> {
        let name = remote.to_string();
        let client = RegistryClient::new(remote, runner);
        let root = match client.root() {
            Ok(root) => root,
            Err(error) => return Ok(Err(error)),
        };
        let image = client.image(&root, &choice).map_err(|error| unreadable(error, &name))?;
        let place = Place::Registry(client, Box::new(image));
        Ok(Ok(StoredImage { reference: reference.to_owned(), choice, place }))
    }

    /// Whether a folder is an OCI layout.
    pub fn is_layout(folder: &Path) -> bool {
        Layout::is_at(folder)
    }

    /// How it was requested.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The ID, if it is known before the layers are read.
    pub fn id(&self) -> Option<&str> {
        match &self.place {
            Place::Archive(_) => None,
            Place::Layout(_, image) | Place::Registry(_, image) => Some(&image.id),
        }
    }

    /// Reads the image. Calls `visit` with each layer's name and plain tar, except where `skip` knows the digest of the unpacked
    /// layer. What was visited is verified when this returns, not before.
    ///
    /// # Errors
    /// When the image is damaged, truncated, of another platform or has a wrong digest; when an archive has no such image or
    /// several; and errors of `visit`.
    pub fn read(
        &self,
        skip: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
    ) -> Result<ReadImage> {
        let read = match &self.place {
            Place::Archive(path) => read_archive(path.as_deref(), &self.choice, skip, visit)?,
            Place::Layout(layout, image) => read_manifest(image, &|one| layout.blob(one), skip, visit)?,
            Place::Registry(client, image) => read_manifest(image, &|one| client.blob(one), skip, visit)?,
        };
        match &self.choice.platform {
            Some(wanted)
                if read.image.os != wanted.os() || read.image.architecture != wanted.architecture() =>
            {
                let own = format!("{}/{}", read.image.os, read.image.architecture);
                Err(Failure::usage(format!("{} is an image for {own}, not for {wanted}", self.reference))
                    .into())
            }
            _ => Ok(read),
        }
    }
}

impl fmt::Display for StoredImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Archive(None) => f.write_str("archive from standard input"),
            Place::Archive(Some(path)) => write!(f, "archive {}", path.display()),
            Place::Layout(layout, image) => {
                write!(f, "{layout}")?;
                image.names.first().map_or(Ok(()), |name| write!(f, ", image {name}"))
            }
            Place::Registry(_, image) => {
                let name = image.names.first().map_or(self.reference.as_str(), String::as_str);
                write!(f, "registry image {name} ({})", image.config.platform)
            }
        }
    }
}

/// Adds context, except to errors about an ambiguous choice, which are complete.
fn unreadable(error: Error, what: &str) -> Error {
    match class_of(&error) {
        FailureClass::Usage => error,
        _ => error.context(format!("cannot read {what}")),
    }
}

fn place_of(path: Option<&Path>) -> String {
    path.map_or("-".to_owned(), |path| path.display().to_string())
}

fn read_archive(
    path: Option<&Path>,
    choice: &Choice,
    skip: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<ReadImage> {
    let stream: Box<dyn Read> = match path {
        None => Box::new(io::stdin().lock()),
        Some(path) => Box::new(File::open(path).with_context(|| format!("cannot read {}", path.display()))?),
    };
    let index = archive::read(blob::unpacked(stream)?, Verify::Digests, &mut |name, layer| {
        // An unpacked blob is named by its own digest, which is also the layer's.
        match name.strip_prefix(archive::BLOBS).is_some_and(|hex| skip(&format!("sha256:{hex}"))) {
            true => Ok(()),
            false => visit(name, layer),
        }
    })?;
    let image = index.image(choice, &place_of(path))?;
    Ok(ReadImage {
        image: described(image.id, &image.config, image.names),
        history: image.config.history.unwrap_or_default(),
        layers: image.layers,
    })
}

fn read_manifest(
    image: &ManifestImage,
    open: &dyn Fn(&Descriptor) -> Result<Box<dyn Read>>,
    skip: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<ReadImage> {
    let diff_ids = &image.config.rootfs.diff_ids;
    if diff_ids.len() != image.layers.len() {
        bail!("the configuration has {} layers, the manifest {}", diff_ids.len(), image.layers.len());
    }
    let mut layers: Vec<SavedLayer> = Vec::new();
    for (diff_id, layer) in diff_ids.iter().zip(&image.layers) {
        let is_new = !layers.iter().any(|known| known.diff_id == *diff_id);
        layers.push(SavedLayer { diff_id: diff_id.clone(), name: diff_id.clone() });
        if is_new && !skip(diff_id) {
            read_blob(diff_id, layer, open, visit).with_context(|| format!("layer {}", layer.digest))?;
        }
    }
    let history = image.config.history.clone().unwrap_or_default();
    let names = image.names.clone();
    Ok(ReadImage { image: described(image.id.clone(), &image.config, names), history, layers })
}

/// Reads one layer and verifies size and digests.
pub(crate) fn read_blob(
    diff_id: &str,
    layer: &Descriptor,
    open: &dyn Fn(&Descriptor) -> Result<Box<dyn Read>>,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let reader = open(layer).map_err(|error| if layer.is_foreign() { oci::foreign(layer) } else { error })?;
    // One byte more than stated is enough to notice.
    let most = layer.size.map_or(u64::MAX, |size| size.saturating_add(1));
    let mut reader = reader.take(most);
    let start = blob::start_of(&mut reader)?;
    let Some(packing) = Packing::of(&start).or_else(|name| bail!("unsupported compression: {name}"))? else {
        bail!("neither a tar nor a compressed tar (media type {})", layer.media_type);
    };
    let digests = blob::read_layer(packing, &start, &mut reader, true, &mut |tar| visit(diff_id, tar))?;
    let read = most - reader.limit();
    match layer.size {
        Some(size) if read < size => bail!("it ends after {read} of {size} bytes"),
        Some(size) if read > size => bail!("it has more than the stated {size} bytes"),
        _ => {}
    }
    for (found, stated) in [(digests.blob, &layer.digest), (digests.diff_id, &diff_id.to_owned())] {
        if let Some(found) = found.filter(|found| found != stated) {
            bail!("wrong digest: {found}, expected {stated}");
        }
    }
    Ok(())
}

pub(crate) fn described(id: String, config: &ImageConfig, names: Vec<String>) -> Image {
    Image {
        id,
        repo_tags: Some(names),
        root_fs: RootFs { layers: Some(config.rootfs.diff_ids.clone()) },
        config: config.config.clone(),
        os: config.platform.os().to_owned(),
        architecture: config.platform.architecture().to_owned(),
        ..Image::default()
    }
}
