//! Indexes, manifests and configurations of images (OCI image specification; Docker's schema 2 has the same fields).

mod choose;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

pub use self::choose::Choice;
pub(crate) use self::choose::{choose, is_same_name, none_called, several};
use crate::inspect::ContainerConfig;
pub use model::platform::Platform;

/// Limit for one JSON file; a configuration with a long history has some hundred kilobytes.
pub(crate) const MOST_JSON: u64 = 4_000_000;
/// Layers of an image; Docker allows 127.
const MAX_LAYERS: usize = 1000;

/// A reference to a blob by its digest.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: String,
    /// Bytes; `None` where it is not stated.
    pub(crate) size: Option<u64>,
    pub(crate) annotations: Option<BTreeMap<String, String>>,
    pub(crate) platform: Option<Platform>,
}

/// An index, or the manifest of an image.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Document {
    pub(crate) schema_version: u32,
    pub(crate) media_type: String,
    /// Of a manifest.
    pub(crate) config: Option<Descriptor>,
    /// Of a manifest.
    pub(crate) layers: Option<Vec<Descriptor>>,
    /// Of an index.
    pub(crate) manifests: Option<Vec<Descriptor>>,
}

/// The configuration of an image, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ImageConfig {
    #[serde(flatten)]
    pub(crate) platform: Platform,
    pub(crate) config: Option<ContainerConfig>,
    pub(crate) rootfs: RootFs,
    pub(crate) history: Option<Vec<HistoryLine>>,
}

/// The layers of a configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RootFs {
    /// Digests of the unpacked layers, base first.
    pub(crate) diff_ids: Vec<String>,
}

/// An instruction in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct HistoryLine {
    /// The instruction.
    pub created_by: String,
    /// Whether it made no layer.
    pub empty_layer: bool,
}

impl Descriptor {
    /// Whether it is an attestation for an image (BuildKit, `docs/attestations/attestation-storage.md`).
    pub(crate) fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type") == Some("attestation-manifest")
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Its name in an image layout: docker and containerd write whole references, others a tag.
    fn name(&self) -> Option<&str> {
        self.annotation("io.containerd.image.name")
            .or_else(|| self.annotation("org.opencontainers.image.ref.name"))
    }

    fn is_called(&self, name: &str) -> bool {
        let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
        self.digest == name
            || names.iter().filter_map(|key| self.annotation(key)).any(|own| is_same_name(own, name))
    }

    fn is_index(&self) -> bool {
        matches!(
            self.media_type.as_str(),
            "application/vnd.oci.image.index.v1+json"
                | "application/vnd.docker.distribution.manifest.list.v2+json"
        )
    }

    /// Whether its content is stored elsewhere by design, such as the layers of Windows.
    pub(crate) fn is_foreign(&self) -> bool {
        self.media_type.contains("nondistributable") || self.media_type.contains(".foreign.")
    }
}

impl Document {
    /// # Errors
    /// When it is neither an index nor a manifest.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Document> {
        let document: Document = serde_json::from_slice(bytes).with_context(|| format!("invalid {what}"))?;
        if document.schema_version == 1 {
            bail!(
                "{what} has the format of Docker before 1.10 (schema 1), which has no digests of layers\n\
                 help: push the image again with a newer Docker"
            );
        }
        if document.manifests.is_none() && document.config.is_none() {
            bail!("{what} is neither an image manifest nor an index");
        }
        Ok(document)
    }

    /// Configuration and layers of a manifest.
    ///
    /// # Errors
    /// When it is not an image manifest.
    pub(crate) fn image(&self) -> Result<(&Descriptor, &[Descriptor])> {
        let Some(config) = &self.config else { bail!("an index where an image manifest was expected") };
        let layers = self.layers.as_deref().unwrap_or_default();
        if layers.len() > MAX_LAYERS {
            bail!("the image has {} layers, more than any real image", layers.len());
        }
        Ok((config, layers))
    }
}

impl ImageConfig {
    /// # Errors
    /// When it is not an image configuration.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<ImageConfig> {
        let config: ImageConfig = serde_json::from_slice(bytes).with_context(|| format!("invalid {what}"))?;
        if config.platform.os().is_empty() && config.rootfs.diff_ids.is_empty() {
            bail!("{what} is not the configuration of an image, but of another artifact");
        }
        Ok(config)
    }
}

/// A layer that is neither in an archive nor in a registry.
pub(crate) fn foreign(layer: &Descriptor) -> anyhow::Error {
    anyhow::anyhow!(
        "foreign layer {}: its content is stored elsewhere by design\nhelp: pull the image with an engine that can run it, and analyze it there",
        layer.digest
    )
}

/// The hexadecimal part of a SHA-256 digest.
///
/// # Errors
/// For anything else: digests become file names and URLs.
pub(crate) fn hex(digest: &str) -> Result<&str> {
    match digest.strip_prefix("sha256:") {
        Some(hex)
            if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) =>
        {
            Ok(hex)
        }
        _ => bail!("unsupported digest `{digest}`: only SHA-256 is supported"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sha_256_digests_name_blobs() {
        assert!(hex(&format!("sha256:{}", "a1".repeat(32))).is_ok());
        for wrong in
            ["sha256:../../etc/passwd", "sha512:00", "", "sha256:", &format!("sha256:{}", "A".repeat(64))]
        {
            assert!(hex(wrong).is_err(), "{wrong}");
        }
    }
}
