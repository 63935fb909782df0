//! The result of a clean-up.

use std::fmt;

use serde::Serialize;

use crate::clean::plan::untagged;
use crate::request::ServiceImage;
use host::plural::count;
use host::render::Render;
use host::table::{Align, Table};
use model::bytes::Bytes;

/// The result of a clean-up.
#[derive(Debug, Clone, Serialize)]
pub struct CleanReport {
    /// The version of this record's format.
    pub schema: u32,
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// Images that lost tags, in the manifest's order.
    pub images: Vec<RemovedImage>,
    /// Requested tags that were kept.
    pub kept: Vec<KeptTag>,
    /// Number of images kept for `deploy rollback`.
    pub for_rollback: usize,
    /// Uncompressed bytes of the layers that the engine deleted.
    pub freed_bytes: Bytes,
    /// Uncompressed bytes of layers that only the build cache still holds.
    pub held_by_cache_bytes: Bytes,
    /// The build cache; `None` unless requested.
    pub cache: Option<PrunedCache>,
}

/// One image.
#[derive(Debug, Clone, Serialize)]
pub struct RemovedImage {
    /// Which image it is.
    #[serde(flatten)]
    pub service_image: ServiceImage,
    /// The image's ID.
    pub image: String,
    /// The removed tags; in a dry run, those that would be removed. Empty for an untagged image.
    pub tags: Vec<String>,
    /// Uncompressed bytes of its layers that the engine deleted.
    pub freed_bytes: Bytes,
    /// Other tags and digests, which keep the image.
    #[serde(rename = "still_called")]
    pub other_names: Vec<String>,
}

/// A tag that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptTag {
    /// The tag.
    pub reference: String,
    /// Why it was kept.
    #[serde(rename = "why")]
    pub reason: String,
}

/// The builder's whole build cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PrunedCache {
    /// Its size before pruning.
    pub size_bytes: Bytes,
    /// Bytes freed; 0 in a dry run.
    pub freed_bytes: Bytes,
}

impl fmt::Display for KeptTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reference, self.reason)
    }
}

impl Render for CleanReport {
    fn text(&self) -> String {
        let table = if self.images.is_empty() { String::new() } else { self.table().text() };
        table + &self.notes().join("\n") + "\n"
    }

    fn markdown(&self) -> String {
        let table = if self.images.is_empty() { String::new() } else { self.table().markdown() + "\n" };
        table + &self.notes().join("\n\n") + "\n"
    }
}

impl CleanReport {
    fn table(&self) -> Table {
        let columns = [("image", Align::Left), ("freed", Align::Right), ("other names", Align::Left)];
        let mut table = Table::new(&columns);
        for removed in &self.images {
            let untagged = [untagged(&removed.service_image, &removed.image)];
            let names = if removed.tags.is_empty() { untagged.as_slice() } else { &removed.tags };
            for (index, tag) in names.iter().enumerate() {
                // The image's figures are in the row of its first tag.
                let freed = match (index, self.dry_run) {
                    (_, true) => "–".to_owned(),
                    (0, _) => removed.freed_bytes.to_string(),
                    _ => String::new(),
                };
                let others = if index == 0 { removed.other_names.join(", ") } else { String::new() };
                table.row(vec![tag.clone(), freed, others]);
            }
        }
        table
    }

    fn notes(&self) -> Vec<String> {
        let named = self.images.iter().filter(|removed| !removed.other_names.is_empty()).count();
        let mut notes: Vec<String> = self.kept.iter().map(|kept| format!("kept {kept}")).collect();
        let untagged = match self.images.iter().filter(|removed| removed.tags.is_empty()).count() {
            0 => String::new(),
            untagged => format!(", {untagged} of them untagged"),
        };
        if self.dry_run {
            let images = count(self.images.len(), "image");
            notes.push(format!("Dry run: would remove these tags of {images}{untagged}."));
        } else {
            let removed = count(self.images.len() - named, "image");
            notes.push(format!("{removed} removed{untagged}, {} of layers freed.", self.freed_bytes));
        }
        if self.for_rollback > 0 {
            let images = count(self.for_rollback, "image");
            notes.push(format!("{images} kept for `deploy rollback` (remove with `--rollback`)."));
        }
        if named > 0 {
            notes.push(format!("{} kept under other names.", count(named, "image")));
        }
        if self.held_by_cache_bytes > Bytes(0) {
            notes.push(format!(
                "The build cache still holds {} of their layers; `--cache` prunes it.",
                self.held_by_cache_bytes
            ));
        }
        if let Some(PrunedCache { size_bytes, freed_bytes }) = self.cache {
            notes.push(match self.dry_run {
                true => format!(
                    "Would prune the whole build cache of the builder, other projects' included: {size_bytes} in total."
                ),
                false => format!(
                    "Pruned the whole build cache of the builder: {freed_bytes} of {size_bytes} freed."
                ),
            });
        }
        notes
    }
}
