//! What to check.

use std::collections::BTreeMap;

use crate::checklist::report::Cadence;
use model::edition::Edition;
use model::image_ref::Tag;

/// A resolved request: every name is one of [`LIST`](crate::checklist::LIST).
#[derive(Debug, Clone)]
pub struct ChecklistRequest {
    /// The list to run.
    pub cadence: Cadence,
    /// Items to run instead of that list; empty for the whole list.
    pub only: Vec<String>,
    /// Items to skip, each with its reason.
    pub skip: BTreeMap<String, String>,
    /// Editions of the images.
    pub editions: Vec<Edition>,
    /// Their tag, without edition and variant.
    pub tag: Tag,
}
