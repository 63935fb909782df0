//! The record of what was pushed: by reference, the digest that the registry gave. It stands in `target/xtask/digests.json`,
//! grows with every push that ends well, and lets `compose-switch --pin` pin images that this machine no longer has.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::push::plan::Subject;
use engine::images::Image;
use host::files;
use host::paths::Repository;
use model::edition::Edition;
use model::variant::Variant;

/// The shape of the file that is written and read here.
const SCHEMA: u32 = 1;

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    schema: u32,
    /// By reference, registry included.
    images: BTreeMap<String, Entry>,
}

/// What the registry has under one reference, as far as it was pushed from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The manifest's digest, `sha256:…`.
    pub digest: String,
    /// The ID of the image here.
    pub image: String,
    /// The service's name.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// The variant.
    pub variant: Variant,
}

impl Default for Digests {
    fn default() -> Digests {
        Digests { schema: SCHEMA, images: BTreeMap::new() }
    }
}

impl Digests {
    /// Reads the record; none is an empty one.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or is of a newer shape.
    pub fn read(repository: &Repository) -> Result<Digests> {
        let path = repository.digests();
        let Some(text) = files::read_if_there(&path)? else { return Ok(Digests::default()) };
        let path = path.display();
        let digests: Digests = serde_json::from_str(&text).with_context(|| {
            format!("{path} is damaged: remove it (the next push writes it anew, and sends nothing twice)")
        })?;
        if digests.schema != SCHEMA {
            bail!(
                "{path} has schema {}, and this xtask reads {SCHEMA}: remove it, or use the xtask that wrote it",
                digests.schema
            );
        }
        Ok(digests)
    }

    /// Writes it whole.
    ///
    /// # Errors
    /// When it cannot be written; the old record then still stands.
    pub fn write(&self, repository: &Repository) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(self).context("the record of digests")?;
        json.push(b'\n');
        files::write_atomically(&repository.digests(), &json)
    }

    /// Takes a push down. True when the registry had exactly this under the reference before, as far as is known.
    pub fn note(&mut self, reference: &str, subject: &Subject, image: &str, digest: &str) -> bool {
        let entry = Entry {
            digest: digest.to_owned(),
            image: image.to_owned(),
            service: subject.service.clone(),
            edition: subject.edition,
            variant: subject.variant,
        };
        let before = self.images.insert(reference.to_owned(), entry.clone());
        before.as_ref() == Some(&entry)
    }

    /// The digest that was pushed under a reference. Where the engine has an image under it, only that image's counts: it
    /// may have been built anew since.
    pub fn digest_of(&self, reference: &str, here: Option<&Image>) -> Option<&str> {
        let entry = self.images.get(reference)?;
        let same = here.is_none_or(|image| image.id == entry.image);
        same.then_some(entry.digest.as_str())
    }

    /// The references under any registry that name the same as a local one: pushing made these tags.
    pub fn tags_of(&self, local: &str) -> impl Iterator<Item = &str> {
        let end = format!("/{local}");
        self.images.keys().map(String::as_str).filter(move |reference| reference.ends_with(&end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject { service: "a".into(), edition: Edition::Simple, variant: Variant::Optimized }
    }

    #[test]
    fn an_image_that_was_built_anew_since_is_not_what_was_pushed() {
        let mut digests = Digests::default();
        assert!(!digests.note("r.example/fx-a:1", &subject(), "sha256:id", "sha256:d"));
        assert!(digests.note("r.example/fx-a:1", &subject(), "sha256:id", "sha256:d"), "nothing is new");
        let image = |id: &str| -> Image { serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap() };
        assert_eq!(digests.digest_of("r.example/fx-a:1", None), Some("sha256:d"));
        assert_eq!(digests.digest_of("r.example/fx-a:1", Some(&image("sha256:id"))), Some("sha256:d"));
        assert_eq!(digests.digest_of("r.example/fx-a:1", Some(&image("sha256:new"))), None);
        assert_eq!(digests.digest_of("r.example/fx-a:2", None), None);
    }

    #[test]
    fn tags_at_registries_are_found_by_their_local_name() {
        let mut digests = Digests::default();
        for reference in ["r.example/t/fx-a:1", "r.example/fx-a:2", "r.example/xfx-a:1"] {
            digests.note(reference, &subject(), "i", "d");
        }
        assert_eq!(digests.tags_of("fx-a:1").collect::<Vec<_>>(), ["r.example/t/fx-a:1"]);
    }
}
