//! Local tags with the registry's name, which a push needs. They are restored if the push fails: otherwise a deployment would
//! run an image that a pull cannot find. A journal lets the next push restore the tags of a killed one.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::push::digests::Digests;
use crate::push::plan::{ImageToPush, PushPlan};
use engine::context::Context;
use engine::docker::Docker;
use host::files;
use host::paths::Repository;

/// A tag that a push sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalTag {
    tag: String,
    /// The ID of the image to push.
    to: String,
    /// The ID of the image that had the tag; `None` for a new tag.
    from: Option<String>,
}

/// Records the tags that a push is about to set.
pub(super) fn begin(plan: &PushPlan, repository: &Repository) -> Result<()> {
    let json = serde_json::to_vec_pretty(&of(plan)).context("the journal of a push")?;
    files::write_atomically(&repository.push_journal(), &json)
}

fn of(plan: &PushPlan) -> Vec<LocalTag> {
    let tags = plan.images.iter().flat_map(|image| image.tags.iter().map(move |tag| (image, tag)));
    tags.map(|(image, tag)| LocalTag::new(tag.reference.to_string(), &image.image.id, tag.previous.as_ref()))
        .collect()
}

/// Sets the first tag of each image, so that no other run removes an image whose tags it moves. False if one is already gone;
/// the tags are then as before.
pub(super) fn hold(plan: &PushPlan, docker: &Docker) -> Result<bool> {
    let first =
        |image: &ImageToPush| Some((image.image.id.clone(), image.tags.first()?.reference.to_string()));
    for (id, tag) in plan.images.iter().filter_map(first) {
        match docker.tag(&id, &tag) {
            Err(error) if error.tail.contains("No such image") => {
                return restore(&of(plan), docker).map(|_| false);
            }
            tagged => tagged?,
        }
    }
    Ok(true)
}

/// Removes the journal once the tags of failed pushes are restored.
pub(super) fn end(repository: &Repository) -> Result<()> {
    files::remove(&repository.push_journal())
}

/// Restores the local tags of a killed push, except those recorded as pushed.
pub(super) fn recover(digests: &Digests, context: &Context) -> Result<()> {
    let path = context.repository.push_journal();
    let Some(text) = files::read_if_there(&path)? else { return Ok(()) };
    let tags: Vec<LocalTag> = serde_json::from_str(&text)
        .with_context(|| format!("{} is damaged\nhelp: remove it and push again", path.display()))?;
    let left: Vec<LocalTag> =
        tags.into_iter().filter(|tag| digests.image_of(&tag.tag) != Some(tag.to.as_str())).collect();
    let restored = restore(&left, &context.docker)?;
    if !restored.is_empty() {
        let names = restored.join(", ");
        context
            .terminal
            .warn(format!("an earlier push was killed; restored the local tags that it set: {names}"));
    }
    end(&context.repository)
}

impl LocalTag {
    pub(super) fn new(tag: String, to: &str, from: Option<&String>) -> LocalTag {
        LocalTag { tag, to: to.to_owned(), from: from.cloned() }
    }
}

/// Restores tags that still point to the image to push, and returns their names.
pub(super) fn restore(tags: &[LocalTag], docker: &Docker) -> Result<Vec<String>> {
    let moved: Vec<&LocalTag> = tags.iter().filter(|tag| tag.from.as_ref() != Some(&tag.to)).collect();
    let now = docker.inspect(&moved.iter().map(|tag| tag.tag.clone()).collect::<Vec<_>>())?;
    let ids: BTreeMap<String, String> = now.into_iter().map(|(tag, image)| (tag, image.id)).collect();
    let mut restored = Vec::new();
    for LocalTag { tag, to, from } in moved {
        if ids.get(tag) != Some(to) {
            continue;
        }
        match from {
            // The old image may have been removed since.
            Some(from) if docker.look(from)?.is_some() => docker.tag(from, tag)?,
            _ => docker.remove(std::slice::from_ref(tag))?,
        }
        restored.push(tag.clone());
    }
    Ok(restored)
}
