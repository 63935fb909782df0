//! What a clean-up removes and what it keeps, as data.

use std::collections::{BTreeMap, BTreeSet};

use crate::clean::report::KeptTag;
use crate::request::{ServiceImage, TaggedImage};
use engine::images::Image;
use engine::labels;
use model::image_ref::ImageRef;

#[derive(Debug, Clone, Default)]
pub struct CleanPlan {
    /// Images that lose tags, in the manifest's order.
    pub images: Vec<ImageToRemove>,
    /// Requested tags that stay.
    pub kept: Vec<KeptTag>,
}

/// An image that this repository built.
#[derive(Debug, Clone)]
pub struct ImageToRemove {
    pub service_image: ServiceImage,
    pub image: Image,
    pub tags: Vec<String>,
}

/// The state of the engine that a plan depends on.
#[derive(Debug, Clone, Default)]
pub struct EngineImages {
    /// Images by reference.
    pub found: BTreeMap<String, Image>,
    /// Names of containers by the ID of their image.
    pub containers: BTreeMap<String, Vec<String>>,
}

/// The tags of an image that may be removed: its local tags, and those under which it was pushed from here.
pub fn tags(requested: &TaggedImage, pushed: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let local = requested.tags.iter().map(ImageRef::to_string);
    local.flat_map(|tag| std::iter::once(tag.clone()).chain(pushed(&tag))).collect()
}

/// Decides for every requested tag that exists whether it is removed.
pub fn plan(project: &str, requested: &[(&TaggedImage, Vec<String>)], engine: &EngineImages) -> CleanPlan {
    let mut plan = CleanPlan::default();
    let mut in_use: BTreeSet<&str> = BTreeSet::new();
    for (requested, tags) in requested {
        for tag in tags {
            let Some(image) = engine.found.get(tag) else { continue };
            let kept = |reason: String| KeptTag { reference: tag.clone(), reason };
            if let Err(reason) = check_labels(project, requested, image) {
                plan.kept.push(kept(reason));
                continue;
            }
            if let Some(names) = engine.containers.get(&image.id) {
                // Reported once for all tags of the image.
                if in_use.insert(&image.id) {
                    let noun = if names.len() == 1 { "container" } else { "containers" };
                    plan.kept.push(kept(format!("in use by {noun} {}", names.join(", "))));
                }
                continue;
            }
            match plan.images.iter_mut().find(|planned| planned.image.id == image.id) {
                Some(planned) => planned.tags.push(tag.clone()),
                None => plan.images.push(ImageToRemove {
                    service_image: requested.image.clone(),
                    image: image.clone(),
                    tags: vec![tag.clone()],
                }),
            }
        }
    }
    plan
}

/// Checks that the image's labels match its tag: only then was it built by this repository.
fn check_labels(project: &str, requested: &TaggedImage, image: &Image) -> Result<(), String> {
    let ServiceImage { edition, variant, .. } = &requested.image;
    let title = requested.tags.first().map_or("", ImageRef::repository);
    let labels = [
        (labels::variant(project), variant.name()),
        (labels::edition(project), edition.name()),
        (labels::TITLE.to_owned(), title),
    ];
    for (name, expected) in labels {
        match image.label(&name) {
            None => return Err(format!("not built by this repository: no label {name}")),
            Some(value) if value != expected => {
                return Err(format!("its label {name} is `{value}`, not `{expected}`"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::edition::Edition;
    use model::variant::Variant;

    fn image(id: &str, edition: Option<&str>) -> Image {
        let labels = edition.map(|edition| {
            serde_json::json!({"p.images.edition": edition, "p.images.variant": "optimized",
                "org.opencontainers.image.title": "fx-a"})
        });
        serde_json::from_value(serde_json::json!({"Id": id, "Config": {"Labels": labels}})).unwrap()
    }

    fn planned(images: &[(&str, Image)], containers: &[(&str, &str)]) -> CleanPlan {
        let requested = TaggedImage {
            image: ServiceImage {
                service: "a".into(),
                edition: Edition::Simple,
                variant: Variant::Optimized,
            },
            tags: vec![ImageRef::new("fx-a", "1-simple-optimized"), ImageRef::new("fx-a", "1-optimized")],
        };
        let tags = tags(&requested, |tag| vec![format!("r.example/{tag}")]);
        let engine = EngineImages {
            found: images.iter().map(|(name, image)| ((*name).to_owned(), image.clone())).collect(),
            containers: containers
                .iter()
                .map(|(id, name)| ((*id).to_owned(), vec![(*name).to_owned()]))
                .collect(),
        };
        plan("p", &[(&requested, tags)], &engine)
    }

    #[test]
    fn tags_of_one_image_are_removed_together_and_other_images_are_kept() {
        let ours = image("1", Some("simple"));
        let plan = planned(
            &[
                ("fx-a:1-simple-optimized", ours.clone()),
                ("r.example/fx-a:1-simple-optimized", ours.clone()),
                ("backup:1", ours),
                ("fx-a:1-optimized", image("2", None)),
            ],
            &[],
        );
        assert_eq!(plan.images.len(), 1);
        assert_eq!(plan.images[0].tags, ["fx-a:1-simple-optimized", "r.example/fx-a:1-simple-optimized"]);
        assert_eq!(plan.kept.len(), 1);
        assert_eq!(
            plan.kept[0].to_string(),
            "fx-a:1-optimized: not built by this repository: no label p.images.variant"
        );
    }

    #[test]
    fn an_image_of_another_edition_under_the_plain_tag_is_kept() {
        let plan = planned(&[("fx-a:1-optimized", image("2", Some("community")))], &[]);
        assert!(plan.images.is_empty());
        assert!(plan.kept[0].reason.contains("is `community`"), "{:?}", plan.kept);
    }

    #[test]
    fn an_image_in_use_is_reported_once_with_its_container() {
        let ours = image("1", Some("simple"));
        let images = [("fx-a:1-simple-optimized", ours.clone()), ("fx-a:1-optimized", ours)];
        let plan = planned(&images, &[("1", "old-api")]);
        assert!(plan.images.is_empty());
        let kept: Vec<String> = plan.kept.iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["fx-a:1-simple-optimized: in use by container old-api"]);
    }
}
