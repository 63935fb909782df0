//! What a clean-up removes and what it keeps, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::clean::report::KeptTag;
use crate::publish::run_tags;
use crate::request::{ServiceImage, TaggedImage};
use engine::images::Image;
use engine::labels;
use host::process_name::Life;
use model::edition::Edition;
use model::image_ref::ImageRef;
use model::variant::Variant;

#[derive(Debug, Clone, Default)]
pub struct CleanPlan {
    /// Images that lose tags, in the manifest's order.
    pub images: Vec<ImageToRemove>,
    /// Requested tags that stay.
    pub kept: Vec<KeptTag>,
    /// Number of images kept for `deploy rollback`.
    pub for_rollback: usize,
}

/// An image that this repository built.
#[derive(Debug, Clone)]
pub struct ImageToRemove {
    pub service_image: ServiceImage,
    pub image: Image,
    /// Empty for an untagged image.
    pub tags: Vec<String>,
}

/// What a tag of one of the project's images is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OtherTag {
    /// Left behind by a killed build.
    Left,
    /// Temporary tag of a build that may still be running on another machine.
    MaybeActive,
    /// Needed by `deploy rollback`.
    Rollback,
    /// Any other tag, including those of running builds.
    Other,
}

/// The state of the engine that a plan depends on.
#[derive(Debug, Clone, Default)]
pub struct EngineImages {
    /// Images by reference.
    pub found: BTreeMap<String, Image>,
    /// All images of the project, tagged or not.
    pub ours: Vec<Image>,
    /// Names of containers by the ID of their image.
    pub containers: BTreeMap<String, Vec<String>>,
}

/// The tags of an image that may be removed: its local tags, and those under which it was pushed from here.
pub fn tags(requested: &TaggedImage, pushed: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let local = requested.tags.iter().chain(&requested.plain).map(ImageRef::to_string);
    local.flat_map(|tag| std::iter::once(tag.clone()).chain(pushed(&tag))).collect()
}

/// Decides which of the requested tags to remove, and which untagged images and leftover build tags of the same services.
/// `rollback`: also remove images kept for `deploy rollback`.
pub fn plan(
    project: &str,
    requested: &[(&TaggedImage, Vec<String>)],
    rollback: bool,
    engine: &EngineImages,
) -> CleanPlan {
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
                    plan.kept.push(kept(used_by(names)));
                }
                continue;
            }
            match plan.images.iter_mut().find(|planned| planned.image.id == image.id) {
                // Images of several platforms share plain tags.
                Some(planned) if planned.tags.contains(tag) => {}
                Some(planned) => planned.tags.push(tag.clone()),
                None => plan.images.push(ImageToRemove {
                    service_image: requested.image.clone(),
                    image: image.clone(),
                    tags: vec![tag.clone()],
                }),
            }
        }
    }
    for image in &engine.ours {
        let title = image.label(labels::TITLE).unwrap_or_default();
        let service =
            requested.iter().map(|(requested, _)| *requested).find(|requested| is_titled(requested, title));
        if let Some(service_image) = service.and_then(|service| labelled(project, &service.image, image)) {
            plan.add_left(service_image, image, rollback, engine);
        }
    }
    plan
}

impl CleanPlan {
    /// Decides which other tags of an image to remove, and whether to remove it if it is untagged.
    fn add_left(
        &mut self,
        service_image: ServiceImage,
        image: &Image,
        rollback: bool,
        engine: &EngineImages,
    ) {
        let of = |kind: OtherTag| {
            let tags = image.repo_tags.iter().flatten();
            tags.filter(move |tag| other_tag(tag) == kind).cloned().collect::<Vec<_>>()
        };
        for reference in of(OtherTag::MaybeActive) {
            let reason = "may belong to a build on another machine; if not, use `docker image rm`".to_owned();
            self.kept.push(KeptTag { reference, reason });
        }
        let mut tags = of(OtherTag::Left);
        let for_rollback = of(OtherTag::Rollback);
        if rollback {
            tags.extend(for_rollback);
        } else {
            self.for_rollback += usize::from(!for_rollback.is_empty());
        }
        let is_untagged = image.repo_tags.as_ref().is_none_or(Vec::is_empty);
        if tags.is_empty() && !is_untagged {
            return;
        }
        let removal = ImageToRemove { service_image, image: image.clone(), tags };
        if let Some(names) = engine.containers.get(&image.id) {
            self.kept.push(KeptTag { reference: removal.to_string(), reason: used_by(names) });
        } else if let Some(planned) = self.images.iter_mut().find(|planned| planned.image.id == image.id) {
            planned.tags.extend(removal.tags);
        } else {
            self.images.push(removal);
        }
    }
}

fn used_by(containers: &[String]) -> String {
    let noun = if containers.len() == 1 { "container" } else { "containers" };
    format!("in use by {noun} {}", containers.join(", "))
}

fn other_tag(reference: &str) -> OtherTag {
    // `deploy` tags the previously running images as PROJECT-rollback:SERVICE.
    if reference.split_once(':').is_some_and(|(name, _)| name.ends_with("-rollback") && !name.contains('/')) {
        return OtherTag::Rollback;
    }
    match run_tags::life(reference) {
        Some(Life::Gone) => OtherTag::Left,
        Some(Life::Unknown) => OtherTag::MaybeActive,
        Some(Life::Runs) | None => OtherTag::Other,
    }
}

/// Identifies a service's image by its labels.
fn labelled(project: &str, service: &ServiceImage, image: &Image) -> Option<ServiceImage> {
    let variant = image.label(&labels::variant(project))?;
    Some(ServiceImage {
        service: service.service.clone(),
        edition: Edition::named(image.label(&labels::edition(project)).unwrap_or_default()),
        variant: Variant::ALL.into_iter().find(|known| known.name() == variant)?,
        platform: None,
    })
}

impl fmt::Display for ImageToRemove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tags.as_slice() {
            [] => f.write_str(&untagged(&self.service_image, &self.image.id)),
            tags => f.write_str(&tags.join(", ")),
        }
    }
}

/// How reports name an untagged image.
pub fn untagged(image: &ServiceImage, id: &str) -> String {
    let digest = id.trim_start_matches("sha256:");
    format!("{image}, untagged {}", digest.get(..12).unwrap_or(digest))
}

/// Whether this is the title of a service's images: its repository, or its name if services share the repository.
fn is_titled(requested: &TaggedImage, title: &str) -> bool {
    let is_repository = requested.tags.first().is_some_and(|tag| tag.repository() == title);
    is_repository || requested.image.service == title
}

/// Checks that the image's labels match its tag: only then was it built by this repository.
fn check_labels(project: &str, requested: &TaggedImage, image: &Image) -> Result<(), String> {
    let ServiceImage { service, edition, variant, .. } = &requested.image;
    let title = image.label(labels::TITLE).filter(|title| is_titled(requested, title));
    let mut labels = vec![(labels::variant(project), variant.name())];
    labels.extend((!edition.is_none()).then(|| (labels::edition(project), edition.name())));
    let repository = requested.tags.first().map_or(service.as_str(), ImageRef::repository);
    labels.push((labels::TITLE.to_owned(), title.unwrap_or(repository)));
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

    fn image(id: &str, edition: Option<&str>) -> Image {
        let labels = edition.map(|edition| {
            serde_json::json!({"p.images.edition": edition, "p.images.variant": "optimized",
                "org.opencontainers.image.title": "fx-a"})
        });
        serde_json::from_value(serde_json::json!({"Id": id, "Config": {"Labels": labels}})).unwrap()
    }

    fn planned_of(
        images: &[(&str, Image)],
        ours: &[Image],
        containers: &[(&str, &str)],
        rollback: bool,
    ) -> CleanPlan {
        let requested = TaggedImage {
            image: ServiceImage {
                service: "a".into(),
                edition: Edition::named("simple"),
                variant: Variant::Optimized,
                platform: None,
            },
            tags: vec![ImageRef::new("fx-a", "1-simple-optimized"), ImageRef::new("fx-a", "1-optimized")],
            plain: Vec::new(),
            index_platforms: Vec::new(),
        };
        let tags = tags(&requested, |tag| vec![format!("r.example/{tag}")]);
        let engine = EngineImages {
            found: images.iter().map(|(name, image)| ((*name).to_owned(), image.clone())).collect(),
            containers: containers
                .iter()
                .map(|(id, name)| ((*id).to_owned(), vec![(*name).to_owned()]))
                .collect(),
            ours: ours.to_vec(),
        };
        plan("p", &[(&requested, tags)], rollback, &engine)
    }

    fn planned(images: &[(&str, Image)], containers: &[(&str, &str)]) -> CleanPlan {
        planned_of(images, &[], containers, false)
    }

    /// An image of the project with these tags.
    fn tagged(id: &str, tags: &[&str]) -> Image {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        Image { repo_tags: Some(tags), ..image(id, Some("community")) }
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

    fn removed(plan: &CleanPlan) -> Vec<String> {
        plan.images.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_untagged_image_is_removed_unless_a_container_uses_it() {
        let used = [("2", "old-api")];
        let plan = planned_of(&[], &[tagged("1", &[]), tagged("2", &[])], &used, false);
        assert_eq!(removed(&plan), ["a community optimized, untagged 1"]);
        let kept: Vec<String> = plan.kept.iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["a community optimized, untagged 2: in use by container old-api"]);
        // An image of another service.
        let mut other = tagged("3", &[]);
        let labels = other.config.as_mut().and_then(|config| config.labels.as_mut()).unwrap();
        labels.insert("org.opencontainers.image.title".into(), "fx-b".into());
        assert!(planned_of(&[], &[other], &[], false).images.is_empty());
    }

    #[test]
    fn tags_of_dead_builds_go_and_those_of_others_stay() {
        let live = format!("fx-a:{}-simple-optimized", run_tags::of_this_process());
        let ours = [
            tagged("1", &[&live]),
            tagged("2", &["fx-a:run-1-2-3-4-5-simple-optimized"]),
            tagged("3", &["fx-a:9-optimized", "backup:1"]),
        ];
        let plan = planned_of(&[], &ours, &[], false);
        assert!(plan.images.is_empty(), "{:?}", removed(&plan));
        assert_eq!(plan.kept.len(), 1);
        assert!(
            plan.kept[0]
                .to_string()
                .starts_with("fx-a:run-1-2-3-4-5-simple-optimized: may belong to a build on another")
        );
    }

    #[test]
    fn images_for_a_rollback_are_counted_and_go_only_on_request() {
        let ours = [tagged("1", &["stack-rollback:a"]), tagged("2", &["r.example/x-rollback:a"])];
        let plan = planned_of(&[], &ours, &[], false);
        assert_eq!((plan.images.len(), plan.for_rollback), (0, 1));
        let plan = planned_of(&[], &ours, &[], true);
        assert_eq!((removed(&plan), plan.for_rollback), (vec!["stack-rollback:a".to_owned()], 0));
    }
}
