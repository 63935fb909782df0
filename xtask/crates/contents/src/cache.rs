//! Analysis results on disk: one file per layer, one per image, named by digest. A digest never changes its content, so an
//! entry is valid until [`FORMAT`] changes. Damaged files count as missing, and the whole folder can be deleted.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_128;

use crate::facts::LayerFacts;
use crate::record::Contents;
use crate::scan::{Found, Scanner};
use host::files;
use host::paths::Repository;

/// Version of everything kept here. Raise it whenever reading, owners, opportunities or the secret scan give another
/// answer for the same image, and whenever a stored type changes.
const FORMAT: u32 = 1;

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
        Ok(self.load(self.path("layers", diff_id)?, ""))
    }

    /// Keeps what was learned of a layer.
    ///
    /// # Errors
    /// When the digest is none or the file cannot be written.
    pub fn keep_layer(&self, diff_id: &str, facts: &LayerFacts) -> Result<()> {
        files::write_atomically(&self.path("layers", diff_id)?, &seal(facts, "")?)
    }

    /// Secrets in a layer, as this scanner looks for them.
    ///
    /// # Errors
    /// When the digest is none.
    pub fn found(&self, diff_id: &str, scanner: &Scanner) -> Result<Option<Vec<Found>>> {
        Ok(self.load(self.path("secrets", diff_id)?, scanner.fingerprint()))
    }

    /// Keeps where secrets are in a layer; what they are is not in it.
    ///
    /// # Errors
    /// When the digest is none or the file cannot be written.
    pub fn keep_found(&self, diff_id: &str, scanner: &Scanner, found: &[Found]) -> Result<()> {
        files::write_atomically(&self.path("secrets", diff_id)?, &seal(&found, scanner.fingerprint())?)
    }

    /// The packed bytes of a layer.
    ///
    /// # Errors
    /// When the digest is none.
    pub fn packed(&self, diff_id: &str) -> Result<Option<u64>> {
        Ok(self.load(self.path("packed", diff_id)?, ""))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the digest is none or the file cannot be written.
    pub fn keep_packed(&self, diff_id: &str, bytes: u64) -> Result<()> {
        files::write_atomically(&self.path("packed", diff_id)?, &seal(&bytes, "")?)
    }

    /// What is known of an image.
    ///
    /// # Errors
    /// When the ID is none.
    pub fn image(&self, id: &str) -> Result<Option<Contents>> {
        Ok(self.load(self.path("images", id)?, ""))
    }

    /// Keeps what was concluded of an image.
    ///
    /// # Errors
    /// When the ID is none or the file cannot be written.
    pub fn keep_image(&self, id: &str, contents: &Contents) -> Result<()> {
        files::write_atomically(&self.path("images", id)?, &seal(contents, "")?)
    }

    fn load<T: DeserializeOwned>(&self, path: PathBuf, variant: &str) -> Option<T> {
        // A cache that cannot be read is an empty one.
        unseal(&files::read_bytes_if_there(&path).ok()??, variant)
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

/// The key that an entry must carry: the format, and what else its content depends on (the scanner's rules).
fn key(variant: &str) -> [u8; 16] {
    xxh3_128(format!("{FORMAT} {variant}").as_bytes()).to_le_bytes()
}

fn seal<T: Serialize>(value: &T, variant: &str) -> Result<Vec<u8>> {
    // Written behind the place of its own sum: a copy would be as large as the layer's facts themselves.
    let head = [key(variant), [0; 16]].concat();
    let mut sealed = postcard::to_extend(value, head).context("what was learned of an image")?;
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
    use crate::facts::{Entry, Kind, Note, Says};

    fn facts() -> LayerFacts {
        let file = Kind::File { bytes: 7, hash: Some(u128::MAX - 1), elf: None };
        LayerFacts {
            entries: vec![Entry { path: "a/b".into(), mode: 0o644, kind: file }],
            notes: vec![Note { path: "a".into(), says: Says::DistIsLocal }],
        }
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_damaged_does_not() {
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
        assert_eq!((FORMAT, xxh3_128(&sealed[32..])), (1, 213146452537997147101237021934812929133));
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
