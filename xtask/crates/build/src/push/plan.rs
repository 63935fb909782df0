//! What a push will do, as data: which image goes under which tags of the registry.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::plan::{PlannedImage, Request};
use engine::images::Image;
use model::edition::Edition;
use model::image_ref::{ImageRef, Registry, Tag};
use model::variant::Variant;

/// Everything that goes to one registry.
#[derive(Debug, Clone)]
pub struct PushPlan {
    /// Where to.
    pub registry: Registry,
    /// The images, in the manifest's order.
    pub images: Vec<Outgoing>,
}

/// One image, and the tags that its registry gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it is.
    pub subject: Subject,
    /// The image's ID.
    pub id: String,
    /// Digests of its unpacked layers, base first.
    pub layers: Vec<String>,
    /// Its size in the store's own meaning; only for the order in which images are pushed.
    pub size: u64,
    /// The tags.
    pub tags: Vec<Tagging>,
}

/// Which service's image in which form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The service's name.
    pub service: String,
    /// The edition.
    pub edition: Edition,
    /// The variant.
    pub variant: Variant,
}

/// A tag of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagging {
    /// Registry included.
    pub there: ImageRef,
    /// The image that this engine has under it already, which the tag goes back to when the push fails.
    pub was: Option<String>,
}

/// Images that are asked for and that this engine does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    references: Vec<String>,
    build: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not here: {}; nothing was pushed\nhelp: {}", self.references.join(", "), self.build)
    }
}

impl std::error::Error for Missing {}

/// An image that is to be pushed, with its tags here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// What it is.
    pub subject: Subject,
    /// Without registry.
    pub tags: Vec<ImageRef>,
}

/// Every image that is asked for, with every tag that building it moves.
pub fn requested(request: &Request<'_>) -> Vec<Wanted> {
    let mut all = Vec::new();
    for service in &request.services {
        for &edition in &request.editions {
            for &variant in &request.variants {
                let (name, default) = (&service.image, request.default_edition);
                all.push(Wanted {
                    subject: Subject { service: service.name.clone(), edition, variant },
                    tags: ImageRef::all_of(name, &request.tag, edition, variant, default),
                });
            }
        }
    }
    all
}

/// Images that were built just now.
pub fn built(images: &[PlannedImage]) -> Vec<Wanted> {
    let one = |image: &PlannedImage| {
        let PlannedImage { service, edition, variant, tags, .. } = image.clone();
        Wanted { subject: Subject { service, edition, variant }, tags }
    };
    images.iter().map(one).collect()
}

/// The references that a plan looks at: here, and as the registry will have them.
pub fn references(wanted: &[Wanted], registry: &Registry) -> Vec<String> {
    let here = wanted.iter().flat_map(|wanted| &wanted.tags);
    here.flat_map(|tag| [tag.to_string(), tag.at(registry).to_string()]).collect()
}

/// Computes the plan of a push from what the engine has. `tag` is for the remedy alone.
///
/// # Errors
/// Every image that is not there, in one message.
pub fn plan(
    wanted: &[Wanted],
    tag: &Tag,
    registry: &Registry,
    found: &BTreeMap<String, Image>,
) -> Result<PushPlan, Missing> {
    let mut images: Vec<Outgoing> = Vec::new();
    let mut missing: Vec<(&Subject, String)> = Vec::new();
    for Wanted { subject, tags } in wanted {
        for tag in tags {
            let (here, there) = (tag.to_string(), tag.at(registry));
            let Some(image) = found.get(&here) else {
                missing.push((subject, here));
                continue;
            };
            let was = found.get(&there.to_string()).map(|image| image.id.clone());
            let tagging = Tagging { there, was };
            // The plain tag may stand on another image than the edition's: each goes as it is.
            match images.last_mut().filter(|last| last.subject == *subject && last.id == image.id) {
                Some(last) => last.tags.push(tagging),
                None => images.push(Outgoing {
                    subject: subject.clone(),
                    id: image.id.clone(),
                    layers: image.layers().to_vec(),
                    size: image.size,
                    tags: vec![tagging],
                }),
            }
        }
    }
    let Some((first, _)) = missing.first() else {
        return Ok(PushPlan { registry: registry.clone(), images });
    };
    let build = build_command(first, &missing, tag);
    Err(Missing { references: missing.into_iter().map(|(_, reference)| reference).collect(), build })
}

/// What builds the missing images, and as little else as its options can say.
fn build_command(first: &Subject, missing: &[(&Subject, String)], tag: &Tag) -> String {
    let mut services: Vec<&str> = missing.iter().map(|(subject, _)| subject.service.as_str()).collect();
    services.dedup();
    let one_edition = missing.iter().all(|(subject, _)| subject.edition == first.edition);
    let one_variant = missing.iter().all(|(subject, _)| subject.variant == first.variant);
    let edition = if one_edition { first.edition.name() } else { "all" };
    let variant = if one_variant { first.variant.name() } else { "both" };
    format!(
        "cargo xtask build-images {} --edition {edition} --variant {variant} --tag {tag}",
        services.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(found: &[(&str, &str)]) -> Result<PushPlan, Missing> {
        let tag: Tag = "1".parse().unwrap();
        let wanted = ["a", "b"].map(|service| Wanted {
            subject: Subject {
                service: service.into(),
                edition: Edition::Simple,
                variant: Variant::Optimized,
            },
            tags: ImageRef::all_of(
                &format!("fx-{service}"),
                &tag,
                Edition::Simple,
                Variant::Optimized,
                Edition::Simple,
            ),
        });
        let image = |id: &str| serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap();
        let found = found.iter().map(|(name, id)| ((*name).to_owned(), image(id))).collect();
        plan(&wanted, &tag, &"r.example/t".parse().unwrap(), &found)
    }

    #[test]
    fn what_is_missing_is_named_at_once_with_what_builds_it() {
        let missing = planned(&[("fx-a:1-simple-optimized", "x"), ("fx-b:1-optimized", "y")]).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "not here: fx-a:1-optimized, fx-b:1-simple-optimized; nothing was pushed\n\
             help: cargo xtask build-images a b --edition simple --variant optimized --tag 1"
        );
    }

    #[test]
    fn tags_of_one_image_go_together_and_remember_where_they_stood() {
        let plan = planned(&[
            ("fx-a:1-simple-optimized", "x"),
            ("fx-a:1-optimized", "x"),
            ("fx-b:1-simple-optimized", "y"),
            ("fx-b:1-optimized", "z"),
            ("r.example/t/fx-b:1-optimized", "old"),
        ])
        .unwrap();
        let told: Vec<(&str, usize)> =
            plan.images.iter().map(|image| (image.id.as_str(), image.tags.len())).collect();
        assert_eq!(told, [("x", 2), ("y", 1), ("z", 1)]);
        assert_eq!(plan.images[2].tags[0].there.to_string(), "r.example/t/fx-b:1-optimized");
        assert_eq!(plan.images[2].tags[0].was.as_deref(), Some("old"));
    }
}
