//! Gathering a report from what was saved: records, what is known of images' contents, the lock's history. No engine is
//! asked; what is missing or stale is said, with the command that mends it.

pub mod benefits;
pub mod history;
pub mod record;
pub mod render;

use std::time::SystemTime;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::report::record::{Image, Inside, OwnerBytes, Part, Report, SCHEMA, Section};
use build::comparison::Comparison;
use contents::record::Contents;
use engine::context::Context;
use engine::provenance::{Commit, Provenance};
use engine::records;
use engine::records::{RecordKind, StoredRecord, tree};
use measure::measurement;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::Manifest;

/// Gathers what is known of these editions under one tag.
///
/// # Errors
/// When a record cannot be read at all, or git fails.
pub fn gather(manifest: &Manifest, editions: &[Edition], tag: &Tag, context: &Context) -> Result<Report> {
    let commit = tree::commit(context)?;
    let saved = Saved { commit: commit.as_ref(), tag, context };
    let parts: Vec<Part> =
        editions.iter().map(|edition| saved.part(manifest, *edition)).collect::<Result<_>>()?;
    let measured = saved.measured()?;
    // Promises are of the first edition that was asked for: it is the one that originals are built of.
    let benefits = match parts.first() {
        Some(part) => benefits::rows(manifest, part, measured.record(), tag),
        None => Vec::new(),
    };
    Ok(Report {
        schema: SCHEMA,
        project: manifest.project.clone(),
        tag: tag.to_string(),
        at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        commit,
        editions: parts.into_iter().filter(is_known).collect(),
        benefits,
        measured,
        history: history::history(context),
    })
}

/// Whether there is anything to show.
fn is_known(part: &Part) -> bool {
    part.sizes.record().is_some()
        || part.check.record().is_some()
        || part.test.record().is_some()
        || part.parity.record().is_some()
}

struct Saved<'a> {
    commit: Option<&'a Commit>,
    tag: &'a Tag,
    context: &'a Context,
}

impl Saved<'_> {
    fn part(&self, manifest: &Manifest, edition: Edition) -> Result<Part> {
        let sizes = self.section::<Comparison>(RecordKind::Comparison, edition)?;
        let ids = |service: &str| {
            let row = sizes.record()?.services.iter().find(|row| row.service == service)?;
            row.optimized.as_ref().map(|optimized| optimized.id.clone())
        };
        let mut images = Vec::new();
        for service in &manifest.services {
            let known = match ids(&service.name) {
                Some(id) => contents::remembered_image(&id, &self.context.repository)?,
                None => None,
            };
            images.push(Image { service: service.name.clone(), inside: known.map(inside) });
        }
        Ok(Part {
            edition,
            check: self.section(RecordKind::Check, edition)?,
            test: self.section(RecordKind::Test, edition)?,
            parity: self.section(RecordKind::Parity, edition)?,
            images,
            sizes,
        })
    }

    fn section<T: DeserializeOwned>(&self, kind: RecordKind, edition: Edition) -> Result<Section<T>> {
        let remedy = kind.remedy(edition, self.tag.as_str());
        Ok(match records::read::<T>(kind, edition, &self.context.repository)? {
            StoredRecord::Missing => Section::Absent { why: "nobody looked yet".to_owned(), remedy },
            StoredRecord::Unusable(why) => {
                Section::Absent { why: format!("its record is not used: {why}"), remedy }
            }
            StoredRecord::Saved(kept) if kept.of.tag != self.tag.as_str() => {
                Section::Absent { why: format!("the last one is of tag {}", kept.of.tag), remedy }
            }
            StoredRecord::Saved(kept) => {
                // The engine is not asked: images count as they were.
                let now = Provenance { commit: self.commit.cloned(), ..kept.of.clone() };
                match kept.of.staleness(&now) {
                    None => Section::Fresh { record: kept.record },
                    Some(why) => Section::Stale { record: kept.record, why, remedy },
                }
            }
        })
    }

    fn measured(&self) -> Result<Section<measurement::Record>> {
        let remedy = format!("cargo xtask measure --stack --tag {}", self.tag);
        let record = match measure::record::saved(&self.context.repository)? {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(Section::Absent { why: "nothing was measured yet".to_owned(), remedy }),
            Err(why) => return Ok(Section::Absent { why: format!("its record is not used: {why}"), remedy }),
        };
        let mut stale: Vec<String> = record
            .entries
            .iter()
            .filter_map(|entry| {
                let then = entry.of.commit.as_deref().map(Commit::described);
                Provenance::tree_changed(then.as_ref(), self.commit)
            })
            .collect();
        stale.sort();
        stale.dedup();
        if !record.complete {
            stale.insert(0, "the last run did not end".to_owned());
        }
        Ok(match stale.is_empty() {
            true => Section::Fresh { record },
            false => Section::Stale { record, why: stale.join("; "), remedy },
        })
    }
}

fn inside(contents: Contents) -> Inside {
    let owner = |owner: &contents::owner::Owner| OwnerBytes {
        kind: owner.kind,
        label: owner.label(),
        bytes: owner.bytes,
    };
    Inside {
        bytes: contents.bytes,
        owners: contents.owners.iter().map(owner).collect(),
        waste: contents.waste.bytes,
        opportunities: contents.opportunities,
        surface: contents.surface,
    }
}
