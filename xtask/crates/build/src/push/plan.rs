//! What a push will do, as data: which image is pushed under which tags.

use host::program::PROGRAM;
use std::collections::{BTreeMap, BTreeSet};

use crate::push::report::{PushRow, PushState};
use crate::request::{ServiceImage, TaggedImage};
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use model::image_ref::{ImageRef, Registry, Tag};
use model::platform::Platform;

/// Everything to push to one registry.
#[derive(Debug, Clone)]
pub struct PushPlan {
    pub registry: Registry,
    /// Whether a tag that refers to another image in the registry is an error.
    pub keeps_tags: bool,
    /// The images, in the manifest's order.
    pub images: Vec<ImageToPush>,
    /// The indexes of images in this plan.
    pub indexes: Vec<IndexToPush>,
}

/// A tag in the registry for an index of several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexToPush {
    pub reference: ImageRef,
    /// The images it contains; without a platform.
    pub service_image: ServiceImage,
    /// Each platform's image in the registry.
    pub images: BTreeMap<Platform, ImageRef>,
    /// Platforms of the index that this plan does not push.
    pub missing: Vec<Platform>,
}

/// One image and its tags in the registry.
#[derive(Debug, Clone)]
pub struct ImageToPush {
    pub service_image: ServiceImage,
    pub image: Image,
    pub tags: Vec<RemoteTag>,
}

/// A tag in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTag {
    pub reference: ImageRef,
    /// The image that the engine has under this reference already; restored if the push fails.
    pub previous: Option<String>,
    /// Whether this is the image's fingerprint tag. It is never moved in the registry, and not kept in the engine.
    pub is_built: bool,
}

/// The references a plan depends on: the local tags, and the same tags in the registry.
pub fn references(images: &[TaggedImage], registry: &Registry) -> Vec<String> {
    let tags = images.iter().flat_map(TaggedImage::own_tags);
    tags.flat_map(|tag| [tag.to_string(), tag.at(registry).to_string()]).collect()
}

/// Computes the plan of a push from what the engine has. `tag` is only for the remedy.
///
/// # Errors
/// All missing images, in one message.
pub fn plan(
    requested: &[TaggedImage],
    tag: &Tag,
    registry: &Registry,
    found: &BTreeMap<String, Image>,
) -> Result<PushPlan, Failure> {
    let mut images: Vec<ImageToPush> = Vec::new();
    let mut missing: Vec<(&ServiceImage, String)> = Vec::new();
    for requested in requested {
        let service_image = &requested.image;
        for tag in requested.own_tags() {
            let (local, reference) = (tag.to_string(), tag.at(registry));
            let Some(image) = found.get(&local) else {
                missing.push((service_image, local));
                continue;
            };
            let previous = found.get(&reference.to_string()).map(|image| image.id.clone());
            let remote = RemoteTag { reference, previous, is_built: false };
            // The plain tag and the edition's tag may be on different images; each is pushed as it is.
            let is_same =
                |last: &&mut ImageToPush| last.service_image == *service_image && last.image.id == image.id;
            match images.last_mut().filter(is_same) {
                Some(last) => last.tags.push(remote),
                None => images.push(ImageToPush {
                    service_image: service_image.clone(),
                    image: image.clone(),
                    tags: vec![remote],
                }),
            }
        }
    }
    let Some((first, _)) = missing.first() else {
        let indexes = indexes(requested, registry);
        return Ok(PushPlan { registry: registry.clone(), keeps_tags: false, images, indexes });
    };
    let build = build_command(first, &missing, tag);
    let references: Vec<&str> = missing.iter().map(|(_, reference)| reference.as_str()).collect();
    let what = format!("nothing was pushed, because these images are missing: {}", references.join(", "));
    Err(Failure::new(FailureClass::Failed, what, build))
}

impl PushPlan {
    /// Adds the images' fingerprint tags.
    pub fn add_built(&mut self, tag: impl Fn(&Image) -> Option<String>) {
        for image in &mut self.images {
            let (Some(tag), Some(first)) = (tag(&image.image), image.tags.first()) else { continue };
            let reference = ImageRef::new(first.reference.repository(), tag);
            image.tags.push(RemoteTag { reference, previous: None, is_built: true });
        }
    }

    /// The rows of a report, by image and tag.
    pub(super) fn rows(&self) -> Vec<Vec<PushRow>> {
        let row = |image: &ImageToPush, tag: &RemoteTag| {
            let id = Some(image.image.id.clone());
            let row = PushRow::new(&tag.reference, &image.service_image, id, PushState::NotTried);
            PushRow { is_built: tag.is_built, ..row }
        };
        let image_rows = |image: &ImageToPush| image.tags.iter().map(|tag| row(image, tag)).collect();
        self.images.iter().map(image_rows).collect()
    }
}

/// The indexes of the requested images. A single platform has no index.
pub(crate) fn indexes(requested: &[TaggedImage], registry: &Registry) -> Vec<IndexToPush> {
    let mut indexes: Vec<IndexToPush> = Vec::new();
    for image in requested.iter().filter(|image| image.index_platforms.len() > 1) {
        let Some(platform) = &image.image.platform else { continue };
        for (plain, own) in image.plain.iter().zip(image.own_tags()) {
            let reference = plain.at(registry);
            let index = match indexes.iter_mut().find(|index| index.reference == reference) {
                Some(index) => index,
                None => {
                    indexes.push(IndexToPush {
                        reference,
                        service_image: ServiceImage { platform: None, ..image.image.clone() },
                        images: BTreeMap::new(),
                        missing: image.index_platforms.clone(),
                    });
                    let Some(last) = indexes.last_mut() else { continue };
                    last
                }
            };
            index.images.insert(platform.clone(), own.at(registry));
            index.missing.retain(|missing| missing != platform);
        }
    }
    indexes
}

/// The command that builds the missing images, and as few others as its options allow.
fn build_command(first: &ServiceImage, missing: &[(&ServiceImage, String)], tag: &Tag) -> String {
    let mut services: Vec<&str> = missing.iter().map(|(image, _)| image.service.as_str()).collect();
    services.dedup();
    let one_edition = missing.iter().all(|(image, _)| image.edition == first.edition);
    let one_variant = missing.iter().all(|(image, _)| image.variant == first.variant);
    let edition = if one_edition { first.edition.option() } else { " --edition all".to_owned() };
    let variant = if one_variant { first.variant.name() } else { "both" };
    let platforms: BTreeSet<&Platform> =
        missing.iter().filter_map(|(image, _)| image.platform.as_ref()).collect();
    let platforms: Vec<String> = platforms.into_iter().map(Platform::to_string).collect();
    let platform =
        if platforms.is_empty() { String::new() } else { format!(" --platform {}", platforms.join(",")) };
    let services = services.join(" ");
    format!("{PROGRAM} build-images {services}{edition} --variant {variant} --tag {tag}{platform}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::edition::Edition;
    use model::variant::Variant;

    fn planned(found: &[(&str, &str)]) -> Result<PushPlan, Failure> {
        let tag: Tag = "1".parse().unwrap();
        let requested = ["a", "b"].map(|service| TaggedImage {
            image: ServiceImage {
                service: service.into(),
                edition: Edition::named("simple"),
                variant: Variant::Optimized,
                platform: None,
            },
            tags: ["1-simple-optimized", "1-optimized"]
                .map(|tag| ImageRef::new(format!("fx-{service}"), tag))
                .into(),
            plain: Vec::new(),
            index_platforms: Vec::new(),
        });
        let image = |id: &str| serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap();
        let found = found.iter().map(|(name, id)| ((*name).to_owned(), image(id))).collect();
        plan(&requested, &tag, &"r.example/t".parse().unwrap(), &found)
    }

    #[test]
    fn all_missing_images_are_reported_with_the_command_that_builds_them() {
        let missing = planned(&[("fx-a:1-simple-optimized", "x"), ("fx-b:1-optimized", "y")]).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "nothing was pushed, because these images are missing: fx-a:1-optimized, fx-b:1-simple-optimized\n\
             help: cargo xtask build-images a b --edition simple --variant optimized --tag 1"
        );
    }

    #[test]
    fn an_index_needs_every_platform() {
        let platforms = ["linux/amd64", "linux/arm64"].map(|text| text.parse::<Platform>().unwrap());
        let image = |platform: &Platform| {
            let plain = ["1-simple", "1"].map(|tag| ImageRef::new("fx-a", tag));
            let mut image = TaggedImage {
                image: ServiceImage {
                    service: "a".into(),
                    edition: Edition::named("simple"),
                    variant: Variant::Original,
                    platform: Some(platform.clone()),
                },
                tags: plain.iter().map(|tag| tag.on(Some(platform))).collect(),
                plain: plain.into(),
                index_platforms: platforms.to_vec(),
            };
            // The plain tags of a build's result are not pushed as an image.
            image.add_plain_tags(&platforms[0]);
            image
        };
        let [amd, arm] = [image(&platforms[0]), image(&platforms[1])];
        let found = |images: &[TaggedImage]| {
            let image = |id: &str| serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap();
            let tags = images.iter().flat_map(|image| &image.tags);
            let found = tags.map(|tag| (tag.to_string(), image("x"))).collect();
            plan(images, &"1".parse().unwrap(), &"r.example/t".parse().unwrap(), &found).unwrap()
        };
        let both = found(&[amd.clone(), arm.clone()]);
        let tags: Vec<&str> =
            both.images.iter().flat_map(|image| &image.tags).map(|tag| tag.reference.tag()).collect();
        assert_eq!(tags, ["1-simple-amd64", "1-amd64", "1-simple-arm64", "1-arm64"]);
        let indexes: Vec<_> =
            both.indexes.iter().map(|one| (one.reference.to_string(), one.images.len())).collect();
        assert_eq!(
            indexes,
            [("r.example/t/fx-a:1-simple".to_owned(), 2), ("r.example/t/fx-a:1".to_owned(), 2)]
        );
        assert!(both.indexes.iter().all(|index| index.missing.is_empty()));
        assert!(found(&[arm]).indexes.iter().all(|index| index.missing == platforms[..1]));
        // A single platform that is not declared has no index.
        let only = TaggedImage { index_platforms: platforms[..1].to_vec(), ..amd };
        assert_eq!(found(&[only]).indexes, []);
    }

    #[test]
    fn rows_of_fingerprint_tags_are_marked() {
        let all =
            ["fx-a:1-simple-optimized", "fx-a:1-optimized", "fx-b:1-simple-optimized", "fx-b:1-optimized"];
        let mut plan = planned(&all.map(|name| (name, "x"))).unwrap();
        plan.add_built(|_| Some("built-1".to_owned()));
        for rows in plan.rows() {
            let tags: Vec<_> = rows.iter().map(|row| (row.reference.tag(), row.is_built)).collect();
            assert_eq!(tags, [("1-simple-optimized", false), ("1-optimized", false), ("built-1", true)]);
        }
    }

    #[test]
    fn tags_of_one_image_are_grouped_and_remember_their_previous_image() {
        let plan = planned(&[
            ("fx-a:1-simple-optimized", "x"),
            ("fx-a:1-optimized", "x"),
            ("fx-b:1-simple-optimized", "y"),
            ("fx-b:1-optimized", "z"),
            ("r.example/t/fx-b:1-optimized", "old"),
        ])
        .unwrap();
        let grouped: Vec<(&str, usize)> =
            plan.images.iter().map(|image| (image.image.id.as_str(), image.tags.len())).collect();
        assert_eq!(grouped, [("x", 2), ("y", 1), ("z", 1)]);
        assert_eq!(plan.images[2].tags[0].reference.to_string(), "r.example/t/fx-b:1-optimized");
        assert_eq!(plan.images[2].tags[0].previous.as_deref(), Some("old"));
    }
}
