//! Analysis results on disk: one file per layer and one per image, named by digest. The content of a digest never changes, so
//! an entry is valid until [`FORMAT`] changes. Damaged files count as missing, and the whole folder can be deleted.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_128;

use crate::facts::LayerFacts;
use crate::record::Contents;
use crate::scan::FoundSecret;
use engine::images::HistoryEntry;
use host::files;
use host::paths::Repository;

/// Version of everything kept here. Raise it whenever reading, owners, opportunities or the secret scan give another
/// answer for the same image, and whenever a stored type changes.
const FORMAT: u32 = 6;

/// The cache of a checkout.
#[derive(Debug)]
pub struct Cache {
    /// `None` outside of checkouts: nothing is kept.
    folder: Option<PathBuf>,
}

/// A type that the cache stores.
pub trait Cached: Serialize + DeserializeOwned {
    /// The folder of its entries.
    const FOLDER: &'static str;
}

impl Cached for LayerFacts {
    const FOLDER: &'static str = "layers";
}

/// The secrets in a layer: their kinds and paths, not their values.
impl Cached for Vec<FoundSecret> {
    const FOLDER: &'static str = "secrets";
}

/// The packed bytes of a layer.
impl Cached for u64 {
    const FOLDER: &'static str = "packed";
}

impl Cached for Contents {
    const FOLDER: &'static str = "images";
}

/// An image's history, if no secret was found in it.
impl Cached for Vec<HistoryEntry> {
    const FOLDER: &'static str = "histories";
}

impl Cache {
    /// The cache of this checkout.
    pub fn of(repository: &Repository) -> Cache {
        Cache { folder: repository.contents_cache() }
    }

    /// Whether anything is kept.
    pub fn keeps(&self) -> bool {
        self.folder.is_some()
    }

    /// A suffix for progress messages that mentions the cache.
    pub fn note(&self) -> &'static str {
        if self.keeps() { " (cached for the next run)" } else { "" }
    }

    /// The entry of a digest. `variant` is what it depends on besides, such as the scanner's fingerprint.
    ///
    /// # Errors
    /// An invalid digest.
    pub fn load<T: Cached>(&self, digest: &str, variant: &str) -> Result<Option<T>> {
        let Some(path) = self.path(T::FOLDER, digest)? else { return Ok(None) };
        // Start with an empty cache if it cannot be read.
        Ok(files::read_bytes_if_there(&path).ok().flatten().and_then(|bytes| unseal(&bytes, variant)))
    }

    /// Stores the entry of a digest.
    ///
    /// # Errors
    /// An invalid digest, or a file that cannot be written.
    pub fn store<T: Cached>(&self, digest: &str, variant: &str, value: &T) -> Result<()> {
        match self.path(T::FOLDER, digest)? {
            Some(path) => files::write_atomically(&path, &seal(value, variant)?),
            None => Ok(()),
        }
    }

    /// Digests come from archives that anyone may have made, so they are validated before they name a file.
    fn path(&self, kind: &str, digest: &str) -> Result<Option<PathBuf>> {
        match digest.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(self.folder.as_ref().map(|folder| folder.join(kind).join(hex)))
            }
            _ => bail!("invalid digest of a layer or an image: `{digest}`"),
        }
    }
}

/// The key that a valid entry starts with.
fn key(variant: &str) -> [u8; 16] {
    xxh3_128(format!("{FORMAT} {variant}").as_bytes()).to_le_bytes()
}

fn seal<T: Serialize>(value: &T, variant: &str) -> Result<Vec<u8>> {
    // Serialized behind the room for its checksum, because a copy would be as large as the layer's facts.
    let head = [key(variant), [0; 16]].concat();
    let mut sealed = postcard::to_extend(value, head).context("cannot serialize a cache entry")?;
    let (head, body) = sealed.split_at_mut(32);
    head[16..].copy_from_slice(&xxh3_128(body).to_le_bytes());
    Ok(sealed)
}

fn unseal<T: DeserializeOwned>(bytes: &[u8], variant: &str) -> Option<T> {
    let (key_of, rest) = bytes.split_at_checked(16)?;
    let (sum, body) = rest.split_at_checked(16)?;
    let is_whole = key_of == key(variant) && sum == xxh3_128(body).to_le_bytes();
    is_whole.then(|| postcard::from_bytes(body).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{EntryKind, LayerEntry, Metadata, MetadataFile};

    fn facts() -> LayerFacts {
        let file = EntryKind::File { bytes: 7, hash: Some(u128::MAX - 1), elf: None };
        LayerFacts {
            entries: vec![LayerEntry { path: "a/b".into(), mode: 0o644, owner: [0; 2], kind: file }],
            metadata: vec![MetadataFile { path: "a".into(), metadata: Metadata::DistIsLocal }],
        }
    }

    #[test]
    fn entries_are_read_back_unless_damaged() {
        let whole = seal(&facts(), "").unwrap();
        let unseal = |bytes: &[u8]| unseal::<LayerFacts>(bytes, "");
        assert_eq!(unseal(&whole), Some(facts()));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert_eq!(unseal(&damaged), None, "byte {at}");
            assert_eq!(unseal(&whole[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn an_entry_with_another_key_is_missing() {
        let whole = seal(&facts(), "other rules").unwrap();
        assert_eq!(unseal::<LayerFacts>(&whole, ""), None);
    }

    /// The bytes of a sample entry: when this changes, raise [`FORMAT`].
    #[test]
    fn stored_types_change_only_with_the_format() {
        let sealed = seal(&facts(), "").unwrap();
        assert_eq!((FORMAT, xxh3_128(&sealed[32..])), (6, 90182489732624046295944779239626030381));
    }

    #[test]
    fn only_digests_name_files() {
        let cache = Cache { folder: Some(PathBuf::from("/c")) };
        assert!(cache.path("layers", &format!("sha256:{}", "a".repeat(64))).is_ok());
        for hostile in ["sha256:../../x", "../x", "", &format!("sha256:{}/", "a".repeat(63))] {
            assert!(cache.path("layers", hostile).is_err(), "{hostile}");
        }
    }
}
