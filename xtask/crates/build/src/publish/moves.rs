//! Plans, executes and undoes tag moves, and finishes those of a killed run.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Error, Result};

use crate::plan::PlannedImage;
use crate::publish::{Publisher, predecessors};
use engine::docker::Docker;
use engine::images::Image;
use engine::lock::{FoundLock, TagMove};
use host::failure::{Failure, FailureClass, class_of};
use host::plural::count;
use host::process::is_running;
use host::wait;

/// The result of moving tags.
#[derive(Debug)]
pub(super) enum Moved {
    All,
    /// Docker refused a move with this error; the others were undone.
    None(Error),
}

/// Which image the tag of a move points to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The old image, or none for a new tag.
    From,
    /// The new image.
    To,
    /// Neither: something else changed the tag.
    Elsewhere,
}

/// A target was built, but its image is missing. BuildKit reuses an identical image in the engine, and another run may remove that
/// image just before BuildKit tags it.
#[derive(Debug)]
pub(crate) struct MissingImage(pub(crate) String);

impl fmt::Display for MissingImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bake reported {} as built, but the engine does not have it", self.0)
    }
}

impl std::error::Error for MissingImage {}

/// The moves that point each image's tags to it, except tags that already do.
pub(super) fn plan(images: &[&PlannedImage], docker: &Docker) -> Result<Vec<TagMove>> {
    let tags = images.iter().flat_map(|image| std::iter::once(&image.run_tag).chain(&image.tagged.tags));
    let found = docker.inspect(&tags.map(ToString::to_string).collect::<Vec<_>>())?;
    needed(images, &found)
}

fn needed(images: &[&PlannedImage], found: &BTreeMap<String, Image>) -> Result<Vec<TagMove>> {
    let mut moves = Vec::new();
    for image in images {
        let Some(built) = found.get(&image.run_tag.to_string()) else {
            return Err(MissingImage(image.target.clone()).into());
        };
        for tag in image.tagged.tags.iter().map(ToString::to_string) {
            let from = found.get(&tag).map(|image| image.id.clone());
            if from.as_ref() != Some(&built.id) {
                moves.push(TagMove { tag, from, to: built.id.clone() });
            }
        }
    }
    Ok(moves)
}

/// Moves tags. If docker refuses a move, the earlier ones are undone.
///
/// # Errors
/// [`FailureClass::Unfinished`], or an environment class, when undoing fails too.
pub(super) fn all_or_none(moves: &[TagMove], docker: &Docker) -> Result<Moved> {
    let Err(error) = moves.iter().try_for_each(|step| docker.tag(&step.to, &step.tag)) else {
        return Ok(Moved::All);
    };
    let moved = standing(moves, docker).map(|now| on(Standing::To, moves, &now));
    match moved.and_then(|moves| back(&moves, docker)) {
        Ok(()) => Ok(Moved::None(error.into())),
        Err(stuck) => {
            let what = format!("only some tags were moved: {error:#}; undoing the moves failed: {stuck:#}");
            let class = match class_of(&stuck) {
                class if class.is_environment() => class,
                _ => FailureClass::Unfinished,
            };
            let help = "once the engine answers, run the same command again";
            Err(Failure::new(class, what, help).into())
        }
    }
}

/// Undoes moves. A tag whose old image is gone is left unchanged.
fn back(moves: &[TagMove], docker: &Docker) -> Result<()> {
    let old: Vec<String> = moves.iter().filter_map(|step| step.from.clone()).collect();
    let found = docker.inspect(&old)?;
    for step in moves {
        match &step.from {
            Some(from) if !found.contains_key(from) => {}
            Some(from) => docker.tag(from, &step.tag)?,
            None => docker.remove(std::slice::from_ref(&step.tag))?,
        }
    }
    Ok(())
}

/// Completes or reverts the moves of a killed run and removes its lock. Tags that something else has changed since are left
/// unchanged.
pub(super) fn finish(found: &FoundLock, publisher: &Publisher<'_>) -> Result<()> {
    let (FoundLock { id, holder, moves, .. }, docker) = (found, &publisher.context.docker);
    wait_for_last_call(moves, publisher)?;
    let now = standing(moves, docker)?;
    let moved = on(Standing::To, moves, &now);
    let left = on(Standing::Elsewhere, moves, &now);
    let missing = on(Standing::From, moves, &now);
    let outcome = if moved.is_empty() {
        // The run was killed before its first move, or after undoing all of them.
        String::new()
    } else if have_all(&missing, docker)? {
        match all_or_none(&missing, docker)? {
            Moved::All => {
                predecessors::retire(moves, publisher.project, docker)?;
                format!("; completed its moves ({})", count(missing.len(), "tag"))
            }
            Moved::None(error) => {
                back(&moved, docker)?;
                format!("; reverted its moves, since docker refused one: {error:#}")
            }
        }
    } else {
        back(&moved, docker)?;
        format!("; reverted its moves, since its images are gone ({})", count(moved.len(), "tag"))
    };
    docker.remove_lock(id)?;
    if !outcome.is_empty() {
        publisher.note(format!("{holder}, was killed while it moved tags{outcome}"));
    }
    if !left.is_empty() && !moved.is_empty() {
        let tags: Vec<&str> = left.iter().map(|step| step.tag.as_str()).collect();
        publisher.note(format!("tags changed by something else, left unchanged: {}", tags.join(", ")));
    }
    Ok(())
}

/// Waits for the last `docker tag` of a killed run, which may outlive the run and overwrite the moves made here.
fn wait_for_last_call(moves: &[TagMove], publisher: &Publisher<'_>) -> Result<()> {
    let is_call = |step: &TagMove| is_running(&["tag", &step.to, &step.tag]);
    while moves.iter().any(is_call) {
        wait::pause(engine::tag_watch::LOOK, &publisher.context.docker.runner.interrupt)?;
    }
    Ok(())
}

fn have_all(moves: &[TagMove], docker: &Docker) -> Result<bool> {
    let images: Vec<String> = moves.iter().map(|step| step.to.clone()).collect();
    let found = docker.inspect(&images)?;
    Ok(images.iter().all(|image| found.contains_key(image)))
}

fn standing(moves: &[TagMove], docker: &Docker) -> Result<Vec<Standing>> {
    let found = docker.inspect(&moves.iter().map(|step| step.tag.clone()).collect::<Vec<_>>())?;
    Ok(moves.iter().map(|step| stands(step, found.get(&step.tag).map(|image| image.id.as_str()))).collect())
}

fn stands(step: &TagMove, now: Option<&str>) -> Standing {
    if now == Some(&step.to) {
        Standing::To
    } else if now == step.from.as_deref() {
        Standing::From
    } else {
        Standing::Elsewhere
    }
}

fn on(wanted: Standing, moves: &[TagMove], now: &[Standing]) -> Vec<TagMove> {
    let pairs = moves.iter().zip(now).filter(|(_, standing)| **standing == wanted);
    pairs.map(|(step, _)| step.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{ServiceImage, TaggedImage};
    use model::edition::Edition;
    use model::image_ref::ImageRef;
    use model::variant::Variant;

    fn image(id: &str) -> Image {
        serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap()
    }

    fn planned() -> PlannedImage {
        PlannedImage {
            target: "x".into(),
            dockerfile: Some("Dockerfile".into()),
            run_tag: ImageRef::new("x", "run"),
            tagged: TaggedImage {
                image: ServiceImage {
                    service: "x".into(),
                    edition: Edition::named("simple"),
                    variant: Variant::Optimized,
                    platform: None,
                },
                tags: ["1", "2", "3"].map(|tag| ImageRef::new("x", tag)).into(),
                plain: Vec::new(),
                index_platforms: Vec::new(),
            },
        }
    }

    #[test]
    fn only_tags_on_other_images_move() {
        let found = BTreeMap::from([
            ("x:run".to_owned(), image("new")),
            ("x:1".to_owned(), image("new")),
            ("x:2".to_owned(), image("old")),
        ]);
        let to = "new".to_owned();
        assert_eq!(
            needed(&[&planned()], &found).unwrap(),
            [
                TagMove { tag: "x:2".into(), from: Some("old".into()), to: to.clone() },
                TagMove { tag: "x:3".into(), from: None, to }
            ]
        );
    }

    #[test]
    fn a_missing_image_is_an_error() {
        assert!(needed(&[&planned()], &BTreeMap::new()).is_err());
    }

    #[test]
    fn a_tag_stands_on_from_or_to_or_elsewhere() {
        let step = TagMove { tag: "x:1".into(), from: Some("old".into()), to: "new".into() };
        assert_eq!(stands(&step, Some("old")), Standing::From);
        assert_eq!(stands(&step, Some("new")), Standing::To);
        assert_eq!(stands(&step, Some("other")), Standing::Elsewhere);
        assert_eq!(stands(&step, None), Standing::Elsewhere);
        let new = TagMove { from: None, ..step };
        assert_eq!(stands(&new, None), Standing::From);
        assert_eq!(stands(&new, Some("old")), Standing::Elsewhere);
    }
}
