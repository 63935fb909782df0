//! What was learned, one file a layer and one an image. Neither ever changes, since its name is the digest of all of it; so
//! nothing here ever grows old but by a change of this program, and all of it can be deleted. A file that is damaged counts
//! as absent.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::facts::LayerFacts;
use super::scan::{Found, Scanner};
use crate::domain::contents::Contents;
use crate::system::files;
use crate::system::paths::Repository;

/// The sources by which layers are read: whoever changes them makes what was learned by them worthless.
const READING: [&str; 8] = [
    include_str!("cache.rs"),
    include_str!("dynamic.rs"),
    include_str!("elf.rs"),
    include_str!("facts.rs"),
    include_str!("notes.rs"),
    include_str!("reading.rs"),
    include_str!("../../docker/layer_tar.rs"),
    include_str!("../../domain/contents/owner.rs"),
];

/// The same of looking for secrets.
const SCANNING: [&str; 4] = [
    include_str!("cache.rs"),
    include_str!("reading.rs"),
    include_str!("scan.rs"),
    include_str!("../../docker/layer_tar.rs"),
];

/// The same of packing.
const PACKING: [&str; 3] = [include_str!("cache.rs"), include_str!("packing.rs"), include_str!("reading.rs")];

/// The same of what is concluded from layers.
const CONCLUDING: [&str; 11] = [
    include_str!("mod.rs"),
    include_str!("opportunities.rs"),
    include_str!("owners/claims.rs"),
    include_str!("owners/dpkg.rs"),
    include_str!("owners/likeness.rs"),
    include_str!("owners/mod.rs"),
    include_str!("owners/python.rs"),
    include_str!("tree.rs"),
    include_str!("../../domain/contents/mod.rs"),
    include_str!("../../domain/contents/opportunity.rs"),
    include_str!("../../domain/contents/waste.rs"),
];

/// The cache of a checkout.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// Of this checkout.
    pub fn of(repository: &Repository) -> Cache {
        Cache { folder: repository.contents_cache() }
    }

    /// What is known of a layer.
    ///
    /// # Errors
    /// When the digest is none.
    pub fn layer(&self, diff_id: &str) -> Result<Option<LayerFacts>> {
        Ok(self.load(self.path("layers", diff_id)?, &READING))
    }

    /// Keeps what was learned of a layer.
    ///
    /// # Errors
    /// When the digest is none or the file cannot be written.
    pub fn keep_layer(&self, diff_id: &str, facts: &LayerFacts) -> Result<()> {
        files::write_atomically(&self.path("layers", diff_id)?, &seal(facts, &READING)?)
    }

    /// Secrets in a layer, as this scanner looks for them.
    ///
    /// # Errors
    /// When the digest is none.
    pub fn found(&self, diff_id: &str, scanner: &Scanner) -> Result<Option<Vec<Found>>> {
        let sources = [SCANNING.as_slice(), &[scanner.fingerprint()]].concat();
        Ok(self.load(self.path("secrets", diff_id)?, &sources))
    }

    /// Keeps where secrets are in a layer; what they are is not in it.
    ///
    /// # Errors
    /// When the digest is none or the file cannot be written.
    pub fn keep_found(&self, diff_id: &str, scanner: &Scanner, found: &[Found]) -> Result<()> {
        let sources = [SCANNING.as_slice(), &[scanner.fingerprint()]].concat();
        files::write_atomically(&self.path("secrets", diff_id)?, &seal(&found, &sources)?)
    }

    /// The packed bytes of a layer.
    ///
    /// # Errors
    /// When the digest is none.
    pub fn packed(&self, diff_id: &str) -> Result<Option<u64>> {
        Ok(self.load(self.path("packed", diff_id)?, &PACKING))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the digest is none or the file cannot be written.
    pub fn keep_packed(&self, diff_id: &str, bytes: u64) -> Result<()> {
        files::write_atomically(&self.path("packed", diff_id)?, &seal(&bytes, &PACKING)?)
    }

    /// What is known of an image.
    ///
    /// # Errors
    /// When the ID is none.
    pub fn image(&self, id: &str) -> Result<Option<Contents>> {
        Ok(self.load(self.path("images", id)?, &[READING.as_slice(), &CONCLUDING].concat()))
    }

    /// Keeps what was concluded of an image.
    ///
    /// # Errors
    /// When the ID is none or the file cannot be written.
    pub fn keep_image(&self, id: &str, contents: &Contents) -> Result<()> {
        let sealed = seal(contents, &[READING.as_slice(), &CONCLUDING].concat())?;
        files::write_atomically(&self.path("images", id)?, &sealed)
    }

    fn load<T: DeserializeOwned>(&self, path: PathBuf, sources: &[&str]) -> Option<T> {
        // A cache that cannot be read is an empty one.
        unseal(&files::read_bytes_if_there(&path).ok()??, sources)
    }

    /// A digest comes from an archive that anyone may have made, so it is looked at before it names a file.
    fn path(&self, kind: &str, digest: &str) -> Result<PathBuf> {
        match digest.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(self.folder.join(kind).join(hex))
            }
            _ => bail!("`{digest}` is no digest of a layer or an image"),
        }
    }
}

/// What the sources of the program come to.
fn form(sources: &[&str]) -> [u8; 16] {
    let mut hash = Xxh3::new();
    sources.iter().for_each(|source| hash.update(source.as_bytes()));
    hash.digest128().to_le_bytes()
}

fn seal<T: Serialize>(value: &T, sources: &[&str]) -> Result<Vec<u8>> {
    // Written behind the place of its own sum: a copy would be as large as the layer's facts themselves.
    let head = [form(sources), [0; 16]].concat();
    let mut sealed = postcard::to_extend(value, head).context("what was learned of an image")?;
    let (head, body) = sealed.split_at_mut(32);
    head[16..].copy_from_slice(&xxh3_128(body).to_le_bytes());
    Ok(sealed)
}

fn unseal<T: DeserializeOwned>(bytes: &[u8], sources: &[&str]) -> Option<T> {
    let (form_of, rest) = bytes.split_at_checked(16)?;
    let (sum, body) = rest.split_at_checked(16)?;
    let is_whole = form_of == form(sources) && sum == xxh3_128(body).to_le_bytes();
    is_whole.then(|| postcard::from_bytes(body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::super::facts::{Entry, Kind, Note, Says};
    use super::*;

    fn facts() -> LayerFacts {
        let file = Kind::File { bytes: 7, hash: Some(u128::MAX - 1), elf: None };
        LayerFacts {
            entries: vec![Entry { path: "a/b".into(), mode: 0o644, kind: file }],
            notes: vec![Note { path: "a".into(), says: Says::DistIsLocal }],
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_does_not() {
        let whole = seal(&facts(), &READING).unwrap();
        let unseal = |bytes: &[u8]| unseal::<LayerFacts>(bytes, &READING);
        assert_eq!(unseal(&whole), Some(facts()));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert_eq!(unseal(&damaged), None, "byte {at}");
            assert_eq!(unseal(&whole[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn what_another_program_learned_is_learned_anew() {
        let whole = seal(&facts(), &["fn old() {}"]).unwrap();
        assert_eq!(unseal::<LayerFacts>(&whole, &READING), None);
    }

    #[test]
    fn every_source_that_learns_or_concludes_is_named() {
        let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/capabilities/contents");
        let lists = READING.iter().chain(&SCANNING).chain(&PACKING).chain(&CONCLUDING);
        let named: Vec<&str> = lists.copied().collect();
        for folder in [here.clone(), here.join("owners"), here.join("../../domain/contents")] {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                // These are asked anew at every run, and what they say is not kept; saving chooses what is read, not how.
                let others = ["origins.rs", "saving.rs", "sbom.rs", "difference.rs", "hostile.rs"];
                if path.is_dir() || others.contains(&name) {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(named.contains(&text.as_str()), "{} is in no list", path.display());
            }
        }
    }

    #[test]
    fn only_a_digest_names_a_file() {
        let cache = Cache { folder: PathBuf::from("/c") };
        assert!(cache.path("layers", &format!("sha256:{}", "a".repeat(64))).is_ok());
        for hostile in ["sha256:../../x", "../x", "", &format!("sha256:{}/", "a".repeat(63))] {
            assert!(cache.path("layers", hostile).is_err(), "{hostile}");
        }
    }
}
