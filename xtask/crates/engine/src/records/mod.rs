//! Records: what commands found, kept under `target/xtask/records/` with what it was made from. Reports read nothing else,
//! and checks do not do again what a fresh record holds. A record is of all services; what was asked of some is not kept.

pub mod tree;

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
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// Version of the form in which records are kept; what is in them has its own.
const SCHEMA: u32 = 1;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A `domain::comparison::Comparison`.
    Comparison,
    /// A `domain::check::Report` of one edition.
    Check,
    /// A `domain::probe_report::Stack` of optimized images that were raised and asked.
    Test,
    /// A `domain::probe_report::Parity`.
    Parity,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Comparison, Kind::Check, Kind::Test, Kind::Parity];

    /// The file's name without the edition.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Comparison => "comparison",
            Kind::Check => "check",
            Kind::Test => "test",
            Kind::Parity => "parity",
        }
    }

    /// The command that makes it.
    pub fn remedy(self, edition: Edition, tag: &str) -> String {
        let command = match self {
            Kind::Comparison => "compare",
            Kind::Check => "check",
            Kind::Test => "test",
            Kind::Parity => "test --parity=recorded",
        };
        format!("cargo xtask {command} --edition {edition} --tag {tag}")
    }

    /// The variants that it speaks of.
    fn variants(self) -> &'static [Variant] {
        match self {
            Kind::Comparison => &Variant::ALL,
            Kind::Check | Kind::Test | Kind::Parity => &[Variant::Optimized],
        }
    }
}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept<T> {
    schema: u32,
    /// What it was made from.
    pub of: Provenance,
    /// What was found.
    pub record: T,
}

/// What is there of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Found<T> {
    /// Nothing.
    Missing,
    /// A file that this program cannot use, and why: it is damaged, or of another schema.
    Unusable(String),
    /// A record. Whether it is fresh is another question.
    Kept(Kept<T>),
}

/// What a record of one kind would be made from now.
///
/// # Errors
/// When docker or git cannot be asked.
pub fn now(
    kind: Kind,
    manifest: &Manifest,
    edition: Edition,
    tag: &Tag,
    context: &Context,
) -> Result<Provenance> {
    let there = context.docker.inspect(&references(kind, manifest, edition, tag))?;
    made_of(kind, manifest, edition, tag, &there, context)
}

/// The same, where the engine's images are known.
///
/// # Errors
/// When a file that git does not know cannot be read.
pub fn made_of(
    kind: Kind,
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

/// The images that a record of one kind speaks of.
fn references(kind: Kind, manifest: &Manifest, edition: Edition, tag: &Tag) -> Vec<String> {
    let of = |service: &Service| {
        let reference = |variant: &Variant| ImageRef::of(&service.image, tag, edition, *variant).to_string();
        kind.variants().iter().map(reference).collect::<Vec<_>>()
    };
    manifest.services.iter().flat_map(of).collect()
}

/// Whether these are all services: a record of some would hide what is known of the others.
pub fn is_whole(services: &[&Service], manifest: &Manifest) -> bool {
    manifest.services.iter().all(|service| services.iter().any(|asked| asked.name == service.name))
}

/// Keeps a record. `of` is what [`now`] said before the work began: what changes under it makes the record stale.
///
/// # Errors
/// When it cannot be written.
pub fn keep<T: Serialize>(kind: Kind, of: Provenance, record: &T, context: &Context) -> Result<()> {
    let path = context.repository.record(kind.name(), of.edition.name());
    let kept = Kept { schema: SCHEMA, of, record };
    let json = serde_json::to_vec_pretty(&kept).with_context(|| format!("the record {}", path.display()))?;
    files::write_atomically(&path, &json)
}

/// Reads a record.
///
/// # Errors
/// When the file is there and cannot be read at all.
pub fn read<T: DeserializeOwned>(kind: Kind, edition: Edition, repository: &Repository) -> Result<Found<T>> {
    #[derive(Deserialize)]
    struct Form {
        schema: u32,
    }
    let Some(text) = files::read_if_there(&repository.record(kind.name(), edition.name()))? else {
        return Ok(Found::Missing);
    };
    Ok(match serde_json::from_str::<Form>(&text) {
        Err(error) => Found::Unusable(format!("it is damaged: {error}")),
        Ok(form) if form.schema != SCHEMA => {
            Found::Unusable(format!("it is of schema {}, this program reads {SCHEMA}", form.schema))
        }
        Ok(_) => match serde_json::from_str(&text) {
            Ok(kept) => Found::Kept(kept),
            Err(error) => Found::Unusable(format!("it is of another form: {error}")),
        },
    })
}

/// A record as far as it says something of `now`.
#[derive(Debug, Clone, PartialEq)]
pub enum Fresh<T> {
    /// It does.
    Yes(T),
    /// It does not, and why.
    No(String),
}

impl<T> Found<T> {
    /// Whether it is fresh.
    pub fn fresh(self, now: &Provenance) -> Fresh<T> {
        match self {
            Found::Missing => Fresh::No("there is none".to_owned()),
            Found::Unusable(why) => Fresh::No(why),
            Found::Kept(kept) => match kept.of.staleness(now) {
                None => Fresh::Yes(kept.record),
                Some(why) => Fresh::No(format!("it is stale: {why}")),
            },
        }
    }
}
