//! Setting tags atomically: all tags of a build move to the new images, or none does, even if the run is killed.
//!
//! Images are built under tags of their run. When all are built, the journal records which tag moves to which image; then
//! the tags move; then the run's own tags and the journal are removed. A run that finds a journal finishes it: it completes
//! the moves if every image exists, otherwise it undoes them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::plan::PlannedImage;
use engine::context::Context;
use engine::docker::Docker;
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;

/// The tags that a run creates and moves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagJournal {
    /// The run's own tags.
    temporary: Vec<String>,
    /// Empty until everything is built.
    moves: Vec<Move>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Move {
    tag: String,
    /// The ID of the new image.
    to: String,
    /// The ID of the old image; `None` for a new tag.
    from: Option<String>,
}

impl TagJournal {
    /// Records the tags that this run is about to create, so that the next run can remove them if this one is killed.
    pub fn begin(images: &[PlannedImage], repository: &Repository) -> Result<TagJournal> {
        let temporary = images.iter().map(|image| image.run_tag.to_string()).collect();
        let journal = TagJournal { temporary, moves: Vec::new() };
        journal.write(repository)?;
        Ok(journal)
    }

    /// Moves the tags of the built images. If docker refuses a move, the earlier ones are undone.
    pub fn move_tags(
        &mut self,
        images: &[&PlannedImage],
        docker: &Docker,
        repository: &Repository,
    ) -> Result<()> {
        let tags = images.iter().flat_map(|image| std::iter::once(&image.run_tag).chain(&image.tagged.tags));
        let found = docker.inspect(&tags.map(ToString::to_string).collect::<Vec<_>>())?;
        self.moves = moves(images, &found)?;
        if !self.moves.is_empty() {
            self.write(repository)?;
        }
        let Err(error) = forward(&self.moves, docker) else { return Ok(()) };
        if let Err(stuck) = back(&self.moves, docker) {
            // The journal stays: the next run completes or undoes the moves.
            let what = format!("only some tags were moved: {error:#}; undoing the moves failed: {stuck:#}");
            let help = "once the engine answers, run the same command again";
            return Err(Failure::new(FailureClass::Unfinished, what, help).into());
        }
        self.moves.clear();
        Err(error.context("the tags are unchanged: moving one failed, and the others were moved back"))
    }

    /// Removes the run's own tags and the journal.
    pub fn end(&self, docker: &Docker, repository: &Repository) -> Result<()> {
        docker.remove(&self.temporary)?;
        files::remove(&repository.journal())
    }

    fn write(&self, repository: &Repository) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).context("the tag journal")?;
        files::write_atomically(&repository.journal(), &json)
    }
}

/// Finishes the journal of a run that was killed. If docker fails, the journal stays for the next run.
pub fn recover(context: &Context) -> Result<()> {
    let (docker, repository, terminal) = (&context.docker, &context.repository, &context.terminal);
    let Some(text) = files::read_if_there(&repository.journal())? else {
        return Ok(());
    };
    let Ok(journal) = serde_json::from_str::<TagJournal>(&text) else {
        bail!(
            "the tag journal is damaged: {}\nhelp: remove it and build again",
            repository.journal().display()
        );
    };
    let images: BTreeSet<String> = journal.moves.iter().map(|step| step.to.clone()).collect();
    if docker.inspect(&images.iter().cloned().collect::<Vec<_>>())?.len() == images.len() {
        if !journal.moves.is_empty() {
            terminal.warn("an earlier run was killed while it moved tags; completing its moves");
        }
        forward(&journal.moves, docker)?;
    } else {
        terminal.warn(
            "an earlier run was killed while it moved tags, and its images are gone; undoing its moves",
        );
        back(&journal.moves, docker)?;
    }
    journal.end(docker, repository)
}

/// The moves that bring each image's tags onto it. Tags that already point there need none.
fn moves(images: &[&PlannedImage], found: &BTreeMap<String, Image>) -> Result<Vec<Move>> {
    let mut moves = Vec::new();
    for image in images {
        let built = found.get(&image.run_tag.to_string()).with_context(|| {
            format!("bake reported {} as built, but the engine does not have it", image.target)
        })?;
        for tag in image.tagged.tags.iter().map(ToString::to_string) {
            let from = found.get(&tag).map(|image| image.id.clone());
            if from.as_ref() != Some(&built.id) {
                moves.push(Move { tag, to: built.id.clone(), from });
            }
        }
    }
    Ok(moves)
}

fn forward(moves: &[Move], docker: &Docker) -> Result<()> {
    for step in moves {
        // Ctrl-C in a terminal also kills the child process, but the move must still happen.
        docker.tag(&step.to, &step.tag).or_else(|_| docker.tag(&step.to, &step.tag))?;
    }
    Ok(())
}

fn back(moves: &[Move], docker: &Docker) -> Result<()> {
    let now = docker.inspect(&moves.iter().map(|step| step.tag.clone()).collect::<Vec<_>>())?;
    for step in moves {
        let moved = now.get(&step.tag).is_some_and(|image| image.id == step.to);
        match &step.from {
            _ if !moved => {}
            Some(from) => docker.tag(from, &step.tag)?,
            None => docker.remove(std::slice::from_ref(&step.tag))?,
        }
    }
    Ok(())
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
            dockerfile: "Dockerfile".into(),
            run_tag: ImageRef::new("x", "run"),
            tagged: TaggedImage {
                image: ServiceImage {
                    service: "x".into(),
                    edition: Edition::Simple,
                    variant: Variant::Optimized,
                },
                tags: ["1", "2", "3"].map(|tag| ImageRef::new("x", tag)).into(),
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
            moves(&[&planned()], &found).unwrap(),
            [
                Move { tag: "x:2".into(), to: to.clone(), from: Some("old".into()) },
                Move { tag: "x:3".into(), to, from: None }
            ]
        );
    }

    #[test]
    fn a_missing_image_is_an_error() {
        assert!(moves(&[&planned()], &BTreeMap::new()).is_err());
    }
}
