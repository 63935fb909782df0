//! Records: results of commands under `target/xtask/records/`, with their provenance. Reports read nothing else, and checks do
//! not repeat what a fresh record contains. A record covers all services; partial results are not recorded.

pub mod tree;

use host::program::PROGRAM;
use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::images::Image;
use crate::provenance::Provenance;
use host::files;
use host::paths::Repository;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Version of the file format; the content has its own.
const SCHEMA: u32 = 1;

/// The kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RecordKind {
    /// Of `compare`.
    Comparison,
    /// Of `check`, one edition.
    Check,
    /// Of `test`: probes of a stack of optimized images.
    Test,
    /// Of `test --parity`.
    Parity,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [RecordKind; 4] =
        [RecordKind::Comparison, RecordKind::Check, RecordKind::Test, RecordKind::Parity];

    /// The file's name without the edition.
    pub fn name(self) -> &'static str {
        match self {
            RecordKind::Comparison => "comparison",
            RecordKind::Check => "check",
            RecordKind::Test => "test",
            RecordKind::Parity => "parity",
        }
    }

    /// The command that makes it.
    pub fn remedy(self, edition: Edition, tag: &str) -> String {
        let command = match self {
            RecordKind::Comparison => "compare",
            RecordKind::Check => "check",
            RecordKind::Test => "test",
            RecordKind::Parity => "test --parity=recorded",
        };
        format!("{PROGRAM} {command}{} --tag {tag}", edition.option())
    }

    /// The variants of a service that it covers.
    fn variants(self, service: &Service) -> Vec<Variant> {
        match self {
            RecordKind::Comparison => service.variants().to_vec(),
            RecordKind::Check | RecordKind::Test | RecordKind::Parity => vec![service.shipped()],
        }
    }
}

/// A saved record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedRecord<T> {
    schema: u32,
    /// Its provenance.
    pub of: Provenance,
    /// The result.
    pub record: T,
}

/// A record as found on disk.
#[derive(Debug, Clone, PartialEq)]
pub enum StoredRecord<T> {
    /// There is no file.
    Missing,
    /// The file is damaged or has another schema; with the reason.
    Unusable(String),
    /// A record, fresh or stale.
    Saved(SavedRecord<T>),
}

/// The current provenance of a record.
///
/// # Errors
/// When docker or git fails.
pub fn now(
    kind: RecordKind,
    manifest: &Manifest,
    edition: Edition,
    tag: &Tag,
    context: &Context,
) -> Result<Provenance> {
    let there = context.docker.inspect(&references(kind, manifest, edition, tag))?;
    made_of(kind, manifest, edition, tag, &there, context)
}

/// The same, with images that were inspected already.
///
/// # Errors
/// When git fails or an untracked file cannot be read.
pub fn made_of(
    kind: RecordKind,
    manifest: &Manifest,
    edition: Edition,
    tag: &Tag,
    there: &BTreeMap<String, Image>,
    context: &Context,
) -> Result<Provenance> {
    let ids = references(kind, manifest, edition, tag)
        .into_iter()
        .filter_map(|name| there.get(&name).map(|image| (name, image.id.clone())));
    Ok(Provenance {
        images: ids.collect(),
        commit: tree::commit(context)?,
        at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        edition,
        tag: tag.to_string(),
    })
}

/// The images that a record covers.
fn references(kind: RecordKind, manifest: &Manifest, edition: Edition, tag: &Tag) -> Vec<String> {
    let of = |service: &Service| {
        let reference = |variant| service.reference(tag, edition, variant).to_string();
        kind.variants(service).into_iter().map(reference).collect::<Vec<_>>()
    };
    manifest.services_in(edition).flat_map(of).collect()
}

/// Whether these are all services of an edition, with their plain tags. A record of only some services would hide the record of the
/// others, and records do not distinguish platforms.
pub fn is_whole(services: &[&Service], manifest: &Manifest, edition: Edition) -> bool {
    if services.iter().any(|service| service.chosen.is_some()) {
        return false;
    }
    manifest.services_in(edition).all(|service| services.iter().any(|asked| asked.name == service.name))
}

/// Saves a record. `of` is [`now`] from before the work began: later changes make the record stale.
///
/// # Errors
/// When it cannot be written.
pub fn keep<T: Serialize>(kind: RecordKind, of: Provenance, record: &T, context: &Context) -> Result<()> {
    if context.docker.registry.is_some() {
        // Records describe the engine's images.
        return Ok(());
    }
    let path = context.repository.record(kind.name(), of.edition.name());
    let kept = SavedRecord { schema: SCHEMA, of, record };
    let json = serde_json::to_vec_pretty(&kept).with_context(|| format!("record {}", path.display()))?;
    files::write_atomically(&path, &json)
}

/// Reads a record.
///
/// # Errors
/// When the file exists but cannot be read.
pub fn read<T: DeserializeOwned>(
    kind: RecordKind,
    edition: Edition,
    repository: &Repository,
) -> Result<StoredRecord<T>> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    let Some(text) = files::read_if_there(&repository.record(kind.name(), edition.name()))? else {
        return Ok(StoredRecord::Missing);
    };
    Ok(match serde_json::from_str::<Schema>(&text) {
        Err(error) => StoredRecord::Unusable(format!("it is damaged: {error}")),
        Ok(form) if form.schema != SCHEMA => {
            StoredRecord::Unusable(format!("it has schema {}, this version reads {SCHEMA}", form.schema))
        }
        Ok(_) => match serde_json::from_str(&text) {
            Ok(kept) => StoredRecord::Saved(kept),
            Err(error) => StoredRecord::Unusable(format!("it is invalid: {error}")),
        },
    })
}

/// A record, if it is fresh.
#[derive(Debug, Clone, PartialEq)]
pub enum Freshness<T> {
    /// The record.
    Yes(T),
    /// The reason why not.
    No(String),
}

impl<T> StoredRecord<T> {
    /// The record, if it is fresh.
    pub fn fresh(self, now: &Provenance) -> Freshness<T> {
        match self {
            StoredRecord::Missing => Freshness::No("no record exists".to_owned()),
            StoredRecord::Unusable(why) => Freshness::No(why),
            StoredRecord::Saved(kept) => match kept.of.staleness(now) {
                None => Freshness::Yes(kept.record),
                Some(why) => Freshness::No(format!("it is stale: {why}")),
            },
        }
    }
}
