//! What came of a clean-up.

use std::fmt;

use serde::Serialize;

use crate::push::plan::Subject;
use model::bytes::Bytes;

/// The whole clean-up.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The shape of this record.
    pub schema: u32,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Images whose tags went, in the manifest's order.
    pub images: Vec<Removed>,
    /// What was asked for and stays.
    pub kept: Vec<Kept>,
    /// Unpacked bytes of the layers that the engine deleted.
    pub freed_bytes: Bytes,
    /// Unpacked bytes of layers that no image has any more and the build cache still holds.
    pub held_by_cache_bytes: Bytes,
    /// What was removed of the build cache; `None` where that was not asked for.
    pub cache: Option<CacheReport>,
}

/// One image.
#[derive(Debug, Clone, Serialize)]
pub struct Removed {
    /// Which service's image in which form.
    #[serde(flatten)]
    pub subject: Subject,
    /// The image's ID.
    pub image: String,
    /// The tags that went, or would go.
    pub tags: Vec<String>,
    /// Unpacked bytes of its layers that the engine deleted.
    pub freed_bytes: Bytes,
    /// Other tags and digests, which keep the image.
    pub still_called: Vec<String>,
}

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The tag.
    pub reference: String,
    /// Why.
    pub why: String,
}

/// What came of the build cache.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CacheReport {
    /// Records that went, or would go where nothing holds them.
    pub records: usize,
    /// Their bytes that no image holds as well, to the four digits that docker prints of each.
    pub freed_bytes: Bytes,
    /// Records that are ours and stay: something else stands on them or uses them.
    pub held: usize,
    /// Records of which nobody can tell whose they are.
    pub unknown: usize,
    /// Their bytes, to four digits each.
    pub unknown_bytes: Bytes,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reference, self.why)
    }
}
