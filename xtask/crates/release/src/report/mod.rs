//! The report page, gathered from saved records, analyzed image contents and the history of the size lock. The engine is not
//! used; missing and stale records are shown with the command that makes them again.

mod benefits;
mod history;
pub mod record;
pub mod render;

use host::program::PROGRAM;
use std::collections::BTreeSet;
use std::time::SystemTime;

use anyhow::Result;
use serde::de::DeserializeOwned;

use crate::report::record::{
    EditionReport, ImageContents, ImageReport, OwnerBytes, ReportPage, ReportSection, SCHEMA,
};
use build::comparison::Comparison;
use contents::owner::Owner;
use contents::record::Contents;
use contents::use_shares::{ImageUse, OwnerUse};
use contents::used::{FoundUse, UseRecord};
use engine::context::Context;
use engine::provenance::{Commit, Provenance};
use engine::records::{self, RecordKind, StoredRecord, tree};
use host::paths::Repository;
use measure::record::{MeasureEntry, MeasureRecord};
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::Manifest;

/// Gathers the saved records of these editions under one tag.
///
/// # Errors
/// When a record cannot be read, or git fails.
pub fn gather(manifest: &Manifest, editions: &[Edition], tag: &Tag, context: &Context) -> Result<ReportPage> {
    let commit = tree::commit(context)?;
    let saved = SavedRecords { commit: commit.as_ref(), tag, context };
    let parts: Vec<EditionReport> =
        editions.iter().map(|edition| saved.edition(manifest, *edition)).collect::<Result<_>>()?;
    let measured = saved.measured()?;
    // Originals are built of the first requested edition only.
    let benefits = match parts.first() {
        Some(part) => benefits::rows(manifest, part, measured.record(), tag),
        None => Vec::new(),
    };
    Ok(ReportPage {
        schema: SCHEMA,
        project: manifest.project.clone(),
        tag: tag.to_string(),
        at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        commit,
        editions: parts.into_iter().filter(has_records).collect(),
        benefits,
        measured,
        history: history::history(context),
    })
}

fn has_records(part: &EditionReport) -> bool {
    part.sizes.record().is_some()
        || part.check.record().is_some()
        || part.test.record().is_some()
        || part.parity.record().is_some()
}

struct SavedRecords<'a> {
    commit: Option<&'a Commit>,
    tag: &'a Tag,
    context: &'a Context,
}

impl SavedRecords<'_> {
    fn edition(&self, manifest: &Manifest, edition: Edition) -> Result<EditionReport> {
        let sizes = self.section::<Comparison>(RecordKind::Comparison, edition)?;
        let measured = |service: &str| {
            let row = sizes.record()?.services.iter().find(|row| row.service == service)?;
            row.optimized.as_ref()
        };
        let mut images = Vec::new();
        for service in manifest.services_in(edition) {
            let known = match measured(&service.name) {
                Some(image) => contents::analysis::cached_contents(&image.id, &self.context.repository)?,
                None => None,
            };
            images.push(ImageReport {
                service: service.name.clone(),
                inside: known.map(|known| image_contents(known, &self.context.repository)),
            });
        }
        Ok(EditionReport {
            edition,
            check: self.section(RecordKind::Check, edition)?,
            test: self.section(RecordKind::Test, edition)?,
            parity: match manifest.has_twins() {
                true => self.section(RecordKind::Parity, edition)?,
                false => ReportSection::NotApplicable,
            },
            images,
            sizes,
        })
    }

    fn section<T: DeserializeOwned>(&self, kind: RecordKind, edition: Edition) -> Result<ReportSection<T>> {
        let remedy = kind.remedy(edition, self.tag.as_str());
        Ok(match records::read::<T>(kind, edition, &self.context.repository)? {
            StoredRecord::Missing => absent("not recorded yet", remedy),
            StoredRecord::Unusable(why) => absent(format!("unusable record: {why}"), remedy),
            StoredRecord::Saved(kept) if kept.of.tag != self.tag.as_str() => {
                absent(format!("the last record is for tag {}", kept.of.tag), remedy)
            }
            StoredRecord::Saved(kept) => {
                // Without the engine, images count as unchanged.
                let now = Provenance { commit: self.commit.cloned(), ..kept.of.clone() };
                match kept.of.staleness(&now) {
                    None => ReportSection::Fresh { record: kept.record },
                    Some(why) => ReportSection::Stale { record: kept.record, why, remedy },
                }
            }
        })
    }

    fn measured(&self) -> Result<ReportSection<MeasureRecord>> {
        let remedy = format!("{PROGRAM} measure --stack --tag {}", self.tag);
        let record = match measure::recorder::saved(&self.context.repository)? {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(absent("not measured yet", remedy)),
            Err(why) => return Ok(absent(format!("unusable record: {why}"), remedy)),
        };
        let changed = |entry: &MeasureEntry| {
            let then = entry.of.commit.as_deref().map(Commit::described);
            Provenance::tree_changed(then.as_ref(), self.commit)
        };
        let changes: BTreeSet<String> = record.entries.iter().filter_map(changed).collect();
        let unfinished = (!record.complete).then(|| "the last run did not finish".to_owned());
        let stale: Vec<String> = unfinished.into_iter().chain(changes).collect();
        Ok(match stale.is_empty() {
            true => ReportSection::Fresh { record },
            false => ReportSection::Stale { record, why: stale.join("; "), remedy },
        })
    }
}

fn absent<T>(why: impl Into<String>, remedy: String) -> ReportSection<T> {
    ReportSection::Absent { why: why.into(), remedy }
}

/// An image's contents and its recorded use.
fn image_contents(contents: Contents, repository: &Repository) -> ImageContents {
    let used = match UseRecord::find(&contents.image, &contents.id, repository) {
        FoundUse::Current(record) => Some(ImageUse::of(&record)),
        FoundUse::Stale(_) | FoundUse::Missing => None,
    };
    let opened = |owner: &Owner| {
        let same = |used: &&OwnerUse| {
            (used.kind, &used.name, &used.version) == (owner.kind, &owner.name, &owner.version)
        };
        Some(used.as_ref()?.owners.iter().find(same)?.bytes.opened())
    };
    let owner = |owner: &Owner| OwnerBytes {
        kind: owner.kind,
        label: owner.label(),
        bytes: owner.bytes,
        opened: opened(owner),
    };
    ImageContents {
        bytes: contents.bytes,
        owners: contents.owners.iter().map(owner).collect(),
        waste: contents.waste.bytes,
        used: used.as_ref().map(|used| used.bytes),
        opportunities: contents.opportunities,
        surface: contents.surface,
    }
}
