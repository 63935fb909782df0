//! An OCI image layout in a folder (OCI image specification, "Image layout").

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::blob;
use crate::oci::{self, Choice, Descriptor, Document, ImageConfig, MOST_JSON};
use crate::stored_image::ManifestImage;

/// A folder with `index.json` and blobs.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Whether a folder is a layout.
    pub(crate) fn is_at(folder: &Path) -> bool {
        folder.join("index.json").is_file() && folder.join("blobs").is_dir()
    }

    pub(crate) fn new(folder: &Path) -> Layout {
        Layout { folder: folder.to_owned() }
    }

    /// Finds the image that is chosen; `place` names the layout in errors.
    ///
    /// # Errors
    /// When the layout is damaged, no image fits, or several do.
    pub(crate) fn image(&self, choice: &Choice, place: &str) -> Result<ManifestImage> {
        let root = json(&self.folder.join("index.json"))?;
        let root = Document::parse(&root, "index.json")?;
        let mut nested = |one: &Descriptor| self.json(one);
        let chosen = oci::choose(root.manifests.as_deref().unwrap_or_default(), choice, place, &mut nested)?;
        let manifest = Document::parse(&self.json(&chosen.manifest)?, &chosen.manifest.digest)?;
        let (config, layers) = manifest.image()?;
        let bytes = self.json(config)?;
        Ok(ManifestImage {
            id: config.digest.clone(),
            config: ImageConfig::parse(&bytes, &format!("configuration {}", config.digest))?,
            layers: layers.to_vec(),
            names: chosen.name.into_iter().collect(),
        })
    }

    /// The content of a blob, as it is stored.
    ///
    /// # Errors
    /// When it is missing.
    pub(crate) fn blob(&self, one: &Descriptor) -> Result<Box<dyn Read>> {
        Ok(Box::new(open(&self.path(one)?)?))
    }

    fn json(&self, one: &Descriptor) -> Result<Vec<u8>> {
        let bytes = json(&self.path(one)?)?;
        let found = blob::sha256(&bytes);
        if found != one.digest {
            bail!("blob {} has the wrong digest: {found}", one.digest);
        }
        Ok(bytes)
    }

    fn path(&self, one: &Descriptor) -> Result<PathBuf> {
        Ok(self.folder.join("blobs/sha256").join(oci::hex(&one.digest)?))
    }
}

/// A regular file: anything else could block.
fn open(path: &Path) -> Result<File> {
    if !path.exists() {
        bail!("missing {}", path.display());
    }
    if !path.is_file() {
        bail!("{} is not a file", path.display());
    }
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

fn json(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(MOST_JSON + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > MOST_JSON {
        bail!("{} is larger than {MOST_JSON} bytes", path.display());
    }
    Ok(bytes)
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OCI layout {}", self.folder.display())
    }
}
