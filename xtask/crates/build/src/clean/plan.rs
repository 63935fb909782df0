//! What a clean-up will remove, and what it leaves alone and why, as data.

use std::collections::{BTreeMap, BTreeSet};

use crate::clean::report::Kept;
use crate::push::plan::{Subject, Wanted};
use engine::images::Image;
use engine::labels;
use model::image_ref::ImageRef;

/// What will be done.
#[derive(Debug, Clone, Default)]
pub struct CleanPlan {
    /// Images that lose their tags, in the manifest's order.
    pub images: Vec<Doomed>,
    /// What is asked for and stays.
    pub kept: Vec<Kept>,
}

/// An image that this repository built.
#[derive(Debug, Clone)]
pub struct Doomed {
    /// What it is.
    pub subject: Subject,
    /// The image.
    pub image: Image,
    /// Its tags that go.
    pub tags: Vec<String>,
}

/// What an engine has, as far as a clean-up asks.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Images by reference.
    pub found: BTreeMap<String, Image>,
    /// Names of containers by the ID of their image.
    pub containers: BTreeMap<String, Vec<String>>,
}

/// The tags of an image that may go: those that a build made, and those under which a push from here made it known.
pub fn tags(wanted: &Wanted, pushed: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let here = wanted.tags.iter().map(ImageRef::to_string);
    here.flat_map(|tag| std::iter::once(tag.clone()).chain(pushed(&tag))).collect()
}

/// Decides about every tag that is asked for and that is there.
pub fn plan(project: &str, wanted: &[(&Wanted, Vec<String>)], looked: &Looked) -> CleanPlan {
    let mut plan = CleanPlan::default();
    let mut said: BTreeSet<&str> = BTreeSet::new();
    for (wanted, tags) in wanted {
        for tag in tags {
            let Some(image) = looked.found.get(tag) else { continue };
            let kept = |why: String| Kept { reference: tag.clone(), why };
            if let Err(why) = is_ours(project, wanted, image) {
                plan.kept.push(kept(why));
                continue;
            }
            if let Some(names) = looked.containers.get(&image.id) {
                // Once for all tags of the image.
                if said.insert(&image.id) {
                    let noun = if names.len() == 1 { "container" } else { "containers" };
                    plan.kept.push(kept(format!("in use by {noun} {}", names.join(", "))));
                }
                continue;
            }
            match plan.images.iter_mut().find(|doomed| doomed.image.id == image.id) {
                Some(doomed) => doomed.tags.push(tag.clone()),
                None => plan.images.push(Doomed {
                    subject: wanted.subject.clone(),
                    image: image.clone(),
                    tags: vec![tag.clone()],
                }),
            }
        }
    }
    plan
}

/// Whether the image's own labels say what its tag says.
fn is_ours(project: &str, wanted: &Wanted, image: &Image) -> Result<(), String> {
    let Subject { edition, variant, .. } = &wanted.subject;
    let title = wanted.tags.first().map_or("", ImageRef::repository);
    let labels = [
        (labels::variant(project), variant.name()),
        (labels::edition(project), edition.name()),
        (labels::TITLE.to_owned(), title),
    ];
    for (name, value) in labels {
        match image.label(&name) {
            None => return Err(format!("not built here: it has no label {name}")),
            Some(other) if other != value => {
                return Err(format!("its label {name} says `{other}`, and `{value}` is asked for"));
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
        let wanted = Wanted {
            subject: Subject { service: "a".into(), edition: Edition::Simple, variant: Variant::Optimized },
            tags: vec![ImageRef::new("fx-a", "1-simple-optimized"), ImageRef::new("fx-a", "1-optimized")],
        };
        let tags = tags(&wanted, |tag| vec![format!("r.example/{tag}")]);
        let looked = Looked {
            found: images.iter().map(|(name, image)| ((*name).to_owned(), image.clone())).collect(),
            containers: containers
                .iter()
                .map(|(id, name)| ((*id).to_owned(), vec![(*name).to_owned()]))
                .collect(),
        };
        plan("p", &[(&wanted, tags)], &looked)
    }

    #[test]
    fn all_our_tags_of_an_image_go_together_and_strangers_stay() {
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
            "fx-a:1-optimized: not built here: it has no label p.images.variant"
        );
    }

    #[test]
    fn an_image_of_another_edition_under_the_plain_tag_stays() {
        let plan = planned(&[("fx-a:1-optimized", image("2", Some("community")))], &[]);
        assert!(plan.images.is_empty());
        assert!(plan.kept[0].why.contains("says `community`"), "{:?}", plan.kept);
    }

    #[test]
    fn an_image_in_use_is_named_once_with_its_container() {
        let ours = image("1", Some("simple"));
        let images = [("fx-a:1-simple-optimized", ours.clone()), ("fx-a:1-optimized", ours)];
        let plan = planned(&images, &[("1", "old-api")]);
        assert!(plan.images.is_empty());
        let kept: Vec<String> = plan.kept.iter().map(ToString::to_string).collect();
        assert_eq!(kept, ["fx-a:1-simple-optimized: in use by container old-api"]);
    }
}
