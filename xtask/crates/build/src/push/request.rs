//! What to push.

use crate::request::TaggedImage;
use model::image_ref::{Registry, Tag};

/// What to push, and where to.
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
    /// The project, to also push tags of the images' fingerprints.
    pub built: Option<&'a str>,
}
