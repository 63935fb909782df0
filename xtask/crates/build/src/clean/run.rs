//! Carrying out a clean-up, and measuring what it freed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::clean::cache::Marks;
use crate::clean::plan;
use crate::clean::plan::{CleanPlan, Doomed, Looked};
use crate::clean::report::{CacheReport, Kept, Removed, Report};
use crate::publish;
use crate::push::digests::Digests;
use crate::push::plan::Wanted;
use engine::context::Context;
use engine::docker::Docker;
use engine::facts::Store;
use engine::images::Image;
use engine::layers::Layer;
use host::files::Lock;
use model::bytes::Bytes;
use model::manifest::Manifest;

/// Looks at the engine and plans.
///
/// # Errors
/// When docker cannot be asked, or the record of what was pushed cannot be read.
pub fn look(manifest: &Manifest, wanted: &[Wanted], context: &Context) -> Result<CleanPlan> {
    let pushed = Digests::read(&context.repository)?;
    let known = |tag: &str| pushed.tags_of(tag).map(str::to_owned).collect();
    let tags: Vec<(&Wanted, Vec<String>)> =
        wanted.iter().map(|wanted| (wanted, plan::tags(wanted, known))).collect();
    let references: Vec<String> = tags.iter().flat_map(|(_, tags)| tags.clone()).collect();
    let looked = Looked {
        found: context.docker.inspect(&references)?,
        containers: context.docker.containers_by_image()?,
    };
    Ok(plan::plan(&manifest.project, &tags, &looked))
}

/// Says what would be removed.
///
/// # Errors
/// As [`look`].
pub fn planned(manifest: &Manifest, wanted: &[Wanted], cache: bool, context: &Context) -> Result<Report> {
    let plan = look(manifest, wanted, context)?;
    let images = plan.images.iter().map(|doomed| removed(doomed, Bytes(0))).collect();
    let cache = cache.then(|| look_at_cache(manifest, &context.docker)).transpose()?;
    Ok(Report { dry_run: true, images, kept: plan.kept, cache, ..empty() })
}

/// Removes what is wanted, and with `cache` this project's part of the build cache.
///
/// # Errors
/// When docker cannot be asked, or another run is at work in this checkout.
pub fn clean(manifest: &Manifest, wanted: &[Wanted], cache: bool, context: &Context) -> Result<Report> {
    let _lock = Lock::take(&context.repository.lock())?;
    let _push = Lock::take(&context.repository.push_lock())?;
    // What a killed build was about to tag would come back with the next one.
    publish::recover(context)?;
    let plan = look(manifest, wanted, context)?;
    let mut report = Report { kept: plan.kept, ..empty() };
    let mut layers: BTreeMap<String, Bytes> = BTreeMap::new();
    for doomed in &plan.images {
        let own = layers_of(&doomed.image, &context.docker)?;
        layers.extend(own.iter().map(|layer| (layer.diff_id.clone(), layer.bytes)));
        remove(doomed, &own, &mut report, context);
    }
    settle(&mut report, &layers, &context.docker)?;
    if cache {
        report.cache = Some(prune(manifest, &context.docker)?);
        // Its layers went with it, or it says itself what it still holds.
        report.held_by_cache_bytes = Bytes(0);
    }
    Ok(report)
}

fn empty() -> Report {
    Report {
        schema: 1,
        dry_run: false,
        images: Vec::new(),
        kept: Vec::new(),
        freed_bytes: Bytes(0),
        held_by_cache_bytes: Bytes(0),
        cache: None,
    }
}

fn removed(doomed: &Doomed, freed_bytes: Bytes) -> Removed {
    let names = doomed.image.repo_tags.iter().chain(&doomed.image.repo_digests).flatten();
    Removed {
        subject: doomed.subject.clone(),
        image: doomed.image.id.clone(),
        tags: doomed.tags.clone(),
        freed_bytes,
        still_called: names.filter(|name| !goes(name, &doomed.tags)).cloned().collect(),
    }
}

/// Whether a name goes with these tags: a digest does with the last tag of its repository.
fn goes(name: &str, tags: &[String]) -> bool {
    let repository = |tag: &String| tag.rsplit_once(':').map(|(repository, _)| format!("{repository}@"));
    tags.iter().any(|tag| tag == name || repository(tag).is_some_and(|start| name.starts_with(&start)))
}

fn layers_of(image: &Image, docker: &Docker) -> Result<Vec<Layer>> {
    match docker.layers_from_history(image)? {
        Some(layers) => Ok(layers),
        None => docker.layers_from_save(image),
    }
}

/// Takes the tags away. An image that a container began to use in the meantime stays, in docker's words.
fn remove(doomed: &Doomed, layers: &[Layer], report: &mut Report, context: &Context) {
    let mut gone = Doomed { tags: Vec::new(), ..doomed.clone() };
    let mut deleted = 0;
    for tag in &doomed.tags {
        match context.docker.untag(tag) {
            Ok(digests) => {
                gone.tags.push(tag.clone());
                deleted += digests.iter().filter(|digest| **digest != doomed.image.id).count();
            }
            Err(error) => {
                let said = error.tail.lines().last().unwrap_or("docker refused").trim().to_owned();
                report.kept.push(Kept { reference: tag.clone(), why: said });
            }
        }
    }
    // The engine deletes a layer only when nothing stands on it: from the top down.
    let freed: Bytes = layers.iter().rev().take(deleted).map(|layer| layer.bytes).sum();
    if !gone.tags.is_empty() {
        context.terminal.say(format!("removed {}", gone.tags.join(", ")));
        report.images.push(removed(&gone, freed));
    }
}

/// Looks at what is left, and so at what is really gone.
fn settle(report: &mut Report, layers: &BTreeMap<String, Bytes>, docker: &Docker) -> Result<()> {
    let left = docker.all_images()?;
    for removed in &mut report.images {
        let names = left.get(&removed.image).map(|image| image.repo_tags.iter().chain(&image.repo_digests));
        removed.still_called = names.into_iter().flatten().flatten().cloned().collect();
    }
    let needed: BTreeSet<&String> = left.values().flat_map(Image::layers).collect();
    let unneeded: Bytes =
        layers.iter().filter(|(layer, _)| !needed.contains(layer)).map(|(_, bytes)| *bytes).sum();
    report.freed_bytes = report.images.iter().map(|removed| removed.freed_bytes).sum();
    match docker.store()? {
        Store::Classic => report.held_by_cache_bytes = unneeded - report.freed_bytes,
        // This store names no layers: its collector removes what nobody needs in its own time.
        Store::Containerd => report.freed_bytes = unneeded,
    }
    Ok(())
}

/// What of the cache is ours, with nothing removed.
fn look_at_cache(manifest: &Manifest, docker: &Docker) -> Result<CacheReport> {
    let records = docker.cache()?;
    let ours = Marks::of(manifest).ours(&records);
    let (mine, others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| ours.contains(record.id.as_str()));
    Ok(CacheReport {
        records: mine.len(),
        freed_bytes: mine.iter().filter(|record| !record.shared).map(|record| record.size).sum(),
        held: 0,
        unknown: others.len(),
        unknown_bytes: others.iter().map(|record| record.size).sum(),
    })
}

fn prune(manifest: &Manifest, docker: &Docker) -> Result<CacheReport> {
    let before = docker.cache()?;
    let ours = Marks::of(manifest).ours(&before);
    docker.prune_cache(&ours.iter().copied().collect::<Vec<_>>())?;
    let after = docker.cache()?;
    let left: BTreeSet<&str> = after.iter().map(|record| record.id.as_str()).collect();
    let gone = || {
        let mine = before.iter().filter(|record| ours.contains(record.id.as_str()));
        mine.filter(|record| !left.contains(record.id.as_str()))
    };
    let others = || after.iter().filter(|record| !ours.contains(record.id.as_str()));
    Ok(CacheReport {
        records: gone().count(),
        freed_bytes: gone().filter(|record| !record.shared).map(|record| record.size).sum(),
        held: ours.len() - gone().count(),
        unknown: others().count(),
        unknown_bytes: others().map(|record| record.size).sum(),
    })
}
