//! The use of an image's files, as recorded by `trace`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::owner::{self, OwnerKind};
use host::files;
use host::paths::Repository;
use model::bytes::Bytes;

/// Version of the record's format.
pub const SCHEMA: u32 = 1;

/// The files that a container opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseRecord {
    /// Version of this format: [`SCHEMA`].
    pub schema: u32,
    /// The service's name in the manifest; of a foreign image, its reference.
    pub subject: String,
    /// The reference of the traced image.
    pub image: String,
    /// Its ID. A record is valid only for the image with this ID.
    pub id: String,
    /// In the order they ran; [`FileUse::phases`] counts from 0.
    pub phases: Vec<UsePhase>,
    /// The owners of all its files; [`FileUse::owner`] counts from 0.
    pub owners: Vec<UsedOwner>,
    /// The files of the image that were opened at least once, by path from the image's root, without slashes at its ends and with
    /// symbolic links resolved. Hard links count under the first of their names.
    pub files: BTreeMap<String, FileUse>,
}

/// A part of a container's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsePhase {
    /// From its start until it is healthy. Includes the health check, which `trace` stops once it passes.
    Start,
    /// Afterwards, without requests.
    Idle,
    /// A probe or a scenario's step.
    Probe {
        /// The service or scenario.
        group: String,
        /// The probe's name.
        probe: String,
    },
    /// From SIGTERM to its end.
    Stop,
}

/// An owner of files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedOwner {
    /// Its kind.
    pub kind: OwnerKind,
    /// Its name.
    pub name: String,
    /// Its version, if it has one.
    pub version: Option<String>,
    /// The bytes of all its files, opened or not.
    pub bytes: Bytes,
}

impl UsedOwner {
    /// `name version`.
    pub fn label(&self) -> String {
        owner::label(&self.name, self.version.as_deref())
    }
}

/// How a file was used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUse {
    /// Its size.
    pub bytes: Bytes,
    /// Its owner, by index.
    pub owner: usize,
    /// The phases in which it was opened or read, by index.
    pub phases: BTreeSet<usize>,
    /// Whether it was read with read(2). Memory-mapped files, such as libraries, are opened but not read.
    pub read: bool,
}

/// The record found for an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundUse {
    /// A record of this very image.
    Current(UseRecord),
    /// Only a record of an older image with the same reference, which is not valid for this one.
    Stale(UseRecord),
    /// No record.
    Missing,
}

impl UseRecord {
    /// Stores the record and replaces an older one of the same reference.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, repository: &Repository) -> Result<()> {
        let json = serde_json::to_vec(self).with_context(|| format!("the record of {}", self.image))?;
        let name = format!("{:032x}.json", xxh3_128(self.image.as_bytes()));
        files::write_atomically(&repository.uses().join(name), &json)
    }

    /// The record for the image with this reference and ID. Records that this version cannot read count as missing.
    pub fn find(reference: &str, id: &str, repository: &Repository) -> FoundUse {
        let Ok(entries) = fs::read_dir(repository.uses()) else { return FoundUse::Missing };
        let mut stale = None;
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(bytes) = fs::read(&path) else { continue };
            let Ok(record) = serde_json::from_slice::<UseRecord>(&bytes) else { continue };
            if record.schema != SCHEMA {
                continue;
            }
            if record.id == id {
                return FoundUse::Current(record);
            }
            if record.image == reference {
                stale = Some(record);
            }
        }
        stale.map_or(FoundUse::Missing, FoundUse::Stale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_id_is_stale() {
        let folder = tempfile::tempdir().unwrap();
        files::write_atomically(&folder.path().join("images.toml"), b"").unwrap();
        let repository = Repository::locate(Some(folder.path())).unwrap();
        let find = |reference: &str, id: &str| UseRecord::find(reference, id, &repository);
        assert_eq!(find("host/a:1", "sha256:1"), FoundUse::Missing);
        let record = UseRecord {
            schema: SCHEMA,
            subject: "a".to_owned(),
            image: "host/a:1".to_owned(),
            id: "sha256:1".to_owned(),
            phases: vec![UsePhase::Start, UsePhase::Probe { group: "a".to_owned(), probe: "p".to_owned() }],
            owners: Vec::new(),
            files: BTreeMap::from([("bin/x".to_owned(), FileUse::default())]),
        };
        record.store(&repository).unwrap();
        assert_eq!(find("host/a:1", "sha256:1"), FoundUse::Current(record.clone()));
        assert_eq!(find("other", "sha256:1"), FoundUse::Current(record.clone()), "another name of the image");
        assert_eq!(find("host/a:1", "sha256:2"), FoundUse::Stale(record.clone()));
        assert_eq!(find("other", "sha256:2"), FoundUse::Missing);
        UseRecord { schema: SCHEMA + 1, ..record }.store(&repository).unwrap();
        assert_eq!(find("host/a:1", "sha256:1"), FoundUse::Missing);
    }
}
