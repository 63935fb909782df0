//! The record of pushed digests by reference, `target/xtask/digests.json`. Every successful push is added; `compose-switch
//! --pin` can then pin images that this machine no longer has. The registry's current content may differ.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::request::ServiceImage;
use engine::images::Image;
use host::files;
use host::paths::Repository;
use model::edition::Edition;
use model::image_ref::path_of;
use model::platform::Platform;
use model::variant::Variant;

/// The version of the file format.
const SCHEMA: u32 = 1;

/// The digests of everything pushed from this checkout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    schema: u32,
    /// By reference, registry included.
    images: BTreeMap<String, PushedImage>,
}

/// What was pushed under one reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PushedImage {
    /// The manifest's digest, `sha256:…`.
    digest: String,
    /// The image's local ID.
    image: String,
    service: String,
    edition: Edition,
    variant: Variant,
    /// The digests of an index's images by platform; empty for an image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    platforms: BTreeMap<String, String>,
}

impl Default for Digests {
    fn default() -> Digests {
        Digests { schema: SCHEMA, images: BTreeMap::new() }
    }
}

impl Digests {
    /// Reads the record; a missing file is an empty record.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or has another schema.
    pub fn read(repository: &Repository) -> Result<Digests> {
        let path = repository.digests();
        let Some(text) = files::read_if_there(&path)? else { return Ok(Digests::default()) };
        let path = path.display();
        let digests: Digests = serde_json::from_str(&text).with_context(|| {
            format!("{path} is damaged\nhelp: remove it; the next push writes a new one and uploads no layer twice")
        })?;
        if digests.schema != SCHEMA {
            bail!(
                "{path} has schema {}, but this version reads {SCHEMA}\nhelp: remove it, or use the version that wrote it",
                digests.schema
            );
        }
        Ok(digests)
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// When it cannot be written; the old file then stays.
    pub fn write(&self, repository: &Repository) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self).context("the record of digests")?;
        json.push(b'\n');
        files::write_atomically(&repository.digests(), &json)
    }

    /// Adds a push. True if the record already had exactly this under the reference.
    pub fn add(&mut self, reference: &str, service_image: &ServiceImage, image: &str, digest: &str) -> bool {
        self.add_index(reference, service_image, image, digest, &BTreeMap::new())
    }

    /// Adds a push of an index. `image`: the local ID of the image for the engine's own platform, or an empty string. `platforms`: the
    /// digests of its images.
    pub fn add_index(
        &mut self,
        reference: &str,
        service_image: &ServiceImage,
        image: &str,
        digest: &str,
        platforms: &BTreeMap<Platform, String>,
    ) -> bool {
        let pushed = PushedImage {
            digest: digest.to_owned(),
            image: image.to_owned(),
            service: service_image.service.clone(),
            edition: service_image.edition,
            variant: service_image.variant,
            platforms: platforms.iter().map(|(name, digest)| (name.to_string(), digest.clone())).collect(),
        };
        let before = self.images.insert(reference.to_owned(), pushed.clone());
        before == Some(pushed)
    }

    /// The digest pushed under a reference. `None` if the engine now has a different image (`local`) under it.
    pub fn digest_of(&self, reference: &str, local: Option<&Image>) -> Option<&str> {
        let pushed = self.images.get(reference)?;
        let same = local.is_none_or(|image| image.id == pushed.image);
        same.then_some(pushed.digest.as_str())
    }

    /// Like [`Digests::digest_of`], but only for an index.
    pub fn index_of(&self, reference: &str, local: Option<&Image>) -> Option<&str> {
        let is_index = self.images.get(reference).is_some_and(|pushed| !pushed.platforms.is_empty());
        self.digest_of(reference, local).filter(|_| is_index)
    }

    /// The local ID of the image last pushed under a reference.
    pub fn image_of(&self, reference: &str) -> Option<&str> {
        self.images.get(reference).map(|pushed| pushed.image.as_str())
    }

    /// Whether a local image was pushed with this digest to any registry. Never outdated, since a digest identifies content.
    pub fn is_of(&self, digest: &str, image: &Image) -> bool {
        self.images.values().any(|pushed| pushed.digest == digest && pushed.image == image.id)
    }

    /// Everything that was pushed.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.images.keys().map(String::as_str)
    }

    /// The references in any registry that a local tag was pushed as; a registry in the local name is not part of them.
    pub fn tags_of(&self, local: &str) -> impl Iterator<Item = &str> {
        let end = format!("/{}", path_of(local));
        self.references().filter(move |reference| reference.ends_with(&end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service_image() -> ServiceImage {
        ServiceImage {
            service: "a".into(),
            edition: Edition::named("simple"),
            variant: Variant::Optimized,
            platform: None,
        }
    }

    #[test]
    fn a_rebuilt_image_has_no_pushed_digest() {
        let mut digests = Digests::default();
        assert!(!digests.add("r.example/fx-a:1", &service_image(), "sha256:id", "sha256:d"));
        assert!(digests.add("r.example/fx-a:1", &service_image(), "sha256:id", "sha256:d"), "nothing is new");
        let image = |id: &str| -> Image { serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap() };
        assert_eq!(digests.digest_of("r.example/fx-a:1", None), Some("sha256:d"));
        assert_eq!(digests.digest_of("r.example/fx-a:1", Some(&image("sha256:id"))), Some("sha256:d"));
        assert_eq!(digests.digest_of("r.example/fx-a:1", Some(&image("sha256:new"))), None);
        assert_eq!(digests.digest_of("r.example/fx-a:2", None), None);
        assert!(
            digests.is_of("sha256:d", &image("sha256:id"))
                && !digests.is_of("sha256:d", &image("sha256:new"))
        );
    }

    #[test]
    fn pushed_references_are_found_by_their_local_tag() {
        let mut digests = Digests::default();
        for reference in ["r.example/t/fx-a:1", "r.example/fx-a:2", "r.example/xfx-a:1"] {
            digests.add(reference, &service_image(), "i", "d");
        }
        assert_eq!(digests.tags_of("fx-a:1").collect::<Vec<_>>(), ["r.example/t/fx-a:1"]);
        assert_eq!(digests.tags_of("ghcr.io/t/fx-a:1").collect::<Vec<_>>(), ["r.example/t/fx-a:1"]);
    }
}
