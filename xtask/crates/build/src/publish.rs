//! The moment in which tags move: all of them or none, whatever happens in between.
//!
//! Images are built under tags of their run. When all are there, a journal is written that says which tag goes where;
//! then tags move; then the run's own tags and the journal go. A run that finds a journal ends what it says: it completes
//! the moves when every image is there, else it takes them back.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::plan::PlannedImage;
use engine::context::Context;
use engine::docker::Docker;
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;

/// One tag that goes from one image to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The tag.
    pub tag: String,
    /// The image that it goes to.
    pub to: String,
    /// The image that it was on; `None` for a new tag.
    pub from: Option<String>,
}

/// What a run is about to do to tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Tags of the run itself.
    pub temporary: Vec<String>,
    /// The moves; empty as long as the run builds.
    pub moves: Vec<Move>,
}

/// The moves that bring every image's tags onto it; tags that are there already are none.
pub fn moves(images: &[&PlannedImage], found: &BTreeMap<String, Image>) -> Result<Vec<Move>> {
    let mut moves = Vec::new();
    for image in images {
        let built = found.get(&image.run_tag.to_string());
        let built = built.with_context(|| {
            format!("bake says it built {}, and the engine does not have it", image.target)
        })?;
        for tag in &image.tags {
            let tag = tag.to_string();
            let from = found.get(&tag).map(|image| image.id.clone());
            if from.as_deref() != Some(built.id.as_str()) {
                moves.push(Move { tag, to: built.id.clone(), from });
            }
        }
    }
    Ok(moves)
}

/// Says which tags this run makes, before it makes one: the next run removes them if this one cannot.
///
/// # Errors
/// When the journal cannot be written.
pub fn begin(images: &[PlannedImage], repository: &Repository) -> Result<Journal> {
    let journal = Journal {
        temporary: images.iter().map(|image| image.run_tag.to_string()).collect(),
        moves: Vec::new(),
    };
    write(&journal, repository)?;
    Ok(journal)
}

/// Moves the tags of what was built, and ends the run's journal.
///
/// # Errors
/// When docker refuses a move; every earlier one is then taken back.
pub fn publish(
    journal: &mut Journal,
    images: &[&PlannedImage],
    docker: &Docker,
    repository: &Repository,
) -> Result<()> {
    let mut references: Vec<String> = images.iter().map(|image| image.run_tag.to_string()).collect();
    references.extend(images.iter().flat_map(|image| image.tags.iter().map(ToString::to_string)));
    let found = docker.inspect(&references)?;
    journal.moves = moves(images, &found)?;
    if !journal.moves.is_empty() {
        write(journal, repository)?;
    }
    if let Err(error) = forward(&journal.moves, docker) {
        if let Err(stuck) = back(&journal.moves, docker) {
            // The journal still says what was meant: the next run ends it, one way or the other.
            return Err(Failure::new(
                FailureClass::Unfinished,
                format!(
                    "some tags have moved and some have not: {error:#}; moving them back failed: {stuck:#}"
                ),
                "once the engine answers, run the same command again",
            )
            .into());
        }
        journal.moves.clear();
        return Err(error.context("no tag was moved: those that had moved are back"));
    }
    Ok(())
}

/// Removes what only the run needed: its tags and the journal.
///
/// # Errors
/// When docker cannot be run or the journal cannot be removed.
pub fn end(journal: &Journal, docker: &Docker, repository: &Repository) -> Result<()> {
    docker.remove(&journal.temporary)?;
    files::remove(&repository.journal())
}

/// Ends what a run that was killed had begun.
///
/// # Errors
/// When the engine refuses; the journal then stays for the next run.
pub fn recover(context: &Context) -> Result<()> {
    let (docker, repository, terminal) = (&context.docker, &context.repository, &context.terminal);
    let Some(text) = files::read_if_there(&repository.journal())? else {
        return Ok(());
    };
    let Ok(journal) = serde_json::from_str::<Journal>(&text) else {
        bail!("{} is damaged: remove it and build again", repository.journal().display());
    };
    let wanted: Vec<String> = journal.moves.iter().map(|step| step.to.clone()).collect();
    if docker.inspect(&wanted)?.len() == wanted.iter().collect::<std::collections::BTreeSet<_>>().len() {
        if !journal.moves.is_empty() {
            terminal.warn("an earlier run ended while its tags moved; completing it");
        }
        forward(&journal.moves, docker)?;
    } else {
        terminal.warn(
            "an earlier run ended while its tags moved, and its images are gone; taking its moves back",
        );
        back(&journal.moves, docker)?;
    }
    end(&journal, docker, repository)
}

fn forward(moves: &[Move], docker: &Docker) -> Result<()> {
    for step in moves {
        // Ctrl-C on a terminal ends the child too, and the move must happen all the same.
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

fn write(journal: &Journal, repository: &Repository) -> Result<()> {
    let json = serde_json::to_vec_pretty(journal).context("the journal")?;
    files::write_atomically(&repository.journal(), &json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::edition::Edition;
    use model::image_ref::ImageRef;
    use model::variant::Variant;

    fn image(id: &str) -> Image {
        serde_json::from_str(&format!(r#"{{"Id":"{id}"}}"#)).unwrap()
    }

    fn planned() -> PlannedImage {
        PlannedImage {
            target: "x".into(),
            service: "x".into(),
            edition: Edition::Simple,
            variant: Variant::Optimized,
            dockerfile: "Dockerfile".into(),
            run_tag: ImageRef::new("x", "run"),
            tags: vec![ImageRef::new("x", "1"), ImageRef::new("x", "2"), ImageRef::new("x", "3")],
        }
    }

    #[test]
    fn only_tags_that_stand_elsewhere_move() {
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
    fn an_image_that_is_not_there_moves_nothing() {
        assert!(moves(&[&planned()], &BTreeMap::new()).is_err());
    }
}
