//! Images that lost their last name when a run moved its tags.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::publish::run_tags;
use engine::docker::Docker;
use engine::images::Image;
use engine::labels;
use engine::lock::TagMove;

/// Removes the images that tags were moved away from, unless they have another name, a container uses them, or this project
/// did not build them.
pub(super) fn retire(moves: &[TagMove], project: &str, docker: &Docker) -> Result<()> {
    let old: BTreeSet<String> = moves.iter().filter_map(|step| step.from.clone()).collect();
    let found = docker.inspect(&old.into_iter().collect::<Vec<_>>())?;
    let ours = |image: &Image| image.label(&labels::variant(project)).is_some();
    let mut unnamed =
        found.into_iter().filter(|(_, image)| ours(image) && image.names().is_empty()).peekable();
    if unnamed.peek().is_none() {
        return Ok(());
    }
    let used = docker.containers_by_image()?;
    let mut tags = Vec::new();
    for (id, _) in unnamed.filter(|(id, _)| !used.contains_key(id)) {
        let step = moves.iter().find(|step| step.from.as_ref() == Some(&id));
        let repository = step.and_then(|step| step.tag.rsplit_once(':')).map_or("", |(name, _)| name);
        tags.push(run_tags::name_to_remove(&id, repository, docker)?);
    }
    docker.remove_unused(&tags).map(drop)
}
