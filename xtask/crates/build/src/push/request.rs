//! What to push.

use crate::request::TaggedImage;
use model::image_ref::{Registry, Tag};

/// What to push, and where.
#[derive(Debug, Clone, Copy)]
pub struct PushRequest<'a> {
    /// The images with their local tags.
    pub images: &'a [TaggedImage],
    /// The tag without edition and variant, for messages.
    pub tag: &'a Tag,
    /// The registry.
    pub registry: &'a Registry,
    /// The maximum number of images pushed in parallel.
    pub jobs: usize,
    /// Whether a tag that refers to another image in the registry is an error.
    pub keeps_tags: bool,
    /// The project, if fingerprint tags are pushed too.
    pub built: Option<&'a str>,
}
