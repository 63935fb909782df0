//! The plan of a build as data: one bake definition for all images, bases and stand-ins.

use std::collections::BTreeMap;

use crate::request::TaggedImage;
use engine::bake::Definition;
use model::image_ref::ImageRef;

/// What will be built, and how.
#[derive(Debug, Clone)]
pub struct BuildPlan {
    /// The images, in the manifest's order.
    pub images: Vec<PlannedImage>,
    /// The bake definition.
    pub definition: Definition,
    /// Each target's Dockerfile, relative to the repository; inline Dockerfiles have none.
    pub dockerfiles: BTreeMap<String, String>,
}

/// One image to build.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedImage {
    /// Its target in the definition.
    pub target: String,
    /// Its Dockerfile, relative to the repository.
    pub dockerfile: String,
    /// The tag it is built under, removed once its own tags are set.
    pub run_tag: ImageRef,
    /// The image and the tags that are set when everything is built.
    pub tagged: TaggedImage,
}

impl BuildPlan {
    /// The requested targets, without the targets they depend on.
    pub fn requested(&self) -> &[String] {
        self.definition.group.get("default").map_or(&[], |group| &group.targets)
    }

    /// Whether `target` is `other` or depends on it.
    pub fn depends_on(&self, target: &str, other: &str) -> bool {
        target == other
            || self.definition.target.get(target).is_some_and(|found| {
                let mut names = found.contexts.values().filter_map(|context| context.strip_prefix("target:"));
                names.any(|name| self.depends_on(name, other))
            })
    }
}
