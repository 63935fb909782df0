//! Executes a clean-up and measures what it freed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::clean::plan::{self, CleanPlan, EngineImages, ImageToRemove};
use crate::clean::report::{CleanReport, KeptTag, PrunedCache, RemovedImage};
use crate::publish::{Publisher, run_tags};
use crate::push::digests::Digests;
use crate::request::TaggedImage;
use engine::context::Context;
use engine::docker::Docker;
use engine::facts::Store;
use engine::images::Image;
use engine::labels;
use engine::layers::Layer;
use host::files::Lock;
use model::bytes::Bytes;
use model::manifest::Manifest;

/// What to clean.
#[derive(Debug, Clone, Copy, Default)]
pub struct CleanRequest<'a> {
    /// The images whose tags are removed, along with untagged images and leftover build tags of the same services.
    pub images: &'a [TaggedImage],
    /// Also remove images kept for `deploy rollback`.
    pub rollback: bool,
    /// Also prune the builder's entire build cache.
    pub cache: bool,
    /// Take over a lock even if its holder may still be running on another machine.
    pub break_lock: bool,
}

fn plan_clean(manifest: &Manifest, request: CleanRequest<'_>, context: &Context) -> Result<CleanPlan> {
    if request.images.is_empty() {
        return Ok(CleanPlan::default());
    }
    let digests = Digests::read(&context.repository)?;
    let pushed = |tag: &str| digests.tags_of(tag).map(str::to_owned).collect();
    let tags: Vec<(&TaggedImage, Vec<String>)> =
        request.images.iter().map(|image| (image, plan::tags(image, pushed))).collect();
    let references: Vec<String> = tags.iter().flat_map(|(_, tags)| tags.clone()).collect();
    let engine = EngineImages {
        found: context.docker.inspect(&references)?,
        ours: context.docker.images_with_label(&labels::variant(&manifest.project))?,
        containers: context.docker.containers_by_image()?,
    };
    Ok(plan::plan(&manifest.project, &tags, request.rollback, &engine))
}

/// Reports what [`clean`] would remove.
///
/// # Errors
/// When docker fails or the record of pushed digests cannot be read.
pub fn dry_run(manifest: &Manifest, request: CleanRequest<'_>, context: &Context) -> Result<CleanReport> {
    let plan = plan_clean(manifest, request, context)?;
    let images = plan.images.iter().map(|image| removed(image, Bytes(0))).collect();
    let size = request.cache.then(|| context.docker.build_cache_size()).transpose()?;
    let cache = size.map(|size_bytes| PrunedCache { size_bytes, freed_bytes: Bytes(0) });
    let for_rollback = plan.for_rollback;
    Ok(CleanReport { dry_run: true, images, kept: plan.kept, for_rollback, cache, ..empty() })
}

/// Removes images, and with `cache` prunes the whole build cache of the builder.
///
/// # Errors
/// When docker fails or another run is active in this checkout.
pub fn clean(manifest: &Manifest, request: CleanRequest<'_>, context: &Context) -> Result<CleanReport> {
    let docker = &context.docker;
    let _lock = Lock::take(&context.repository.lock())?;
    let _push = Lock::take(&context.repository.push_lock())?;
    // A running deployment may be tagging images for a rollback.
    let _deploy = request.rollback.then(|| Lock::take(&context.repository.deploy_lock())).transpose()?;
    let publisher = Publisher::new(&manifest.project, request.break_lock, context);
    // Otherwise the next build would restore the tags that a killed build was about to set.
    publisher.settle()?;
    let mut report = empty();
    let mut layers = Layers::default();
    let mut removed_layers: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut plan = plan_clean(manifest, request, context)?;
    if !plan.images.is_empty() {
        // Reading an archive is slow, so do it before taking the lock. Ignore errors here: if another run removes
        // an image first, the plan made under the lock omits it, and any other error recurs there.
        for image in &plan.images {
            layers.of(&image.image, docker).ok();
        }
        publisher.exclusively(|| {
            plan = plan_clean(manifest, request, context)?;
            for image in &plan.images {
                docker.runner.interrupt.check()?;
                let own = layers.of(&image.image, docker)?;
                removed_layers.extend(own.iter().map(|layer| (layer.diff_id.clone(), layer.bytes)));
                remove(image, own, &mut report, context)?;
            }
            Ok(())
        })?;
    }
    report.for_rollback = plan.for_rollback;
    report.kept.splice(0..0, plan.kept);
    measure_freed(&mut report, &removed_layers, docker)?;
    if request.cache {
        let size_bytes = docker.build_cache_size()?;
        let freed_bytes = docker.prune_build_cache()?;
        report.cache = Some(PrunedCache { size_bytes, freed_bytes });
        report.held_by_cache_bytes = Bytes(0);
    }
    Ok(report)
}

/// Cached layers by image ID.
#[derive(Default)]
struct Layers(BTreeMap<String, Vec<Layer>>);

impl Layers {
    fn of(&mut self, image: &Image, docker: &Docker) -> Result<&[Layer]> {
        if !self.0.contains_key(&image.id) {
            let layers = match docker.layers_from_history(image)? {
                Some(layers) => layers,
                None => docker.layers_from_save(image)?,
            };
            self.0.insert(image.id.clone(), layers);
        }
        Ok(&self.0[&image.id])
    }
}

fn empty() -> CleanReport {
    CleanReport {
        schema: 2,
        dry_run: false,
        images: Vec::new(),
        kept: Vec::new(),
        for_rollback: 0,
        freed_bytes: Bytes(0),
        held_by_cache_bytes: Bytes(0),
        cache: None,
    }
}

fn removed(image: &ImageToRemove, freed_bytes: Bytes) -> RemovedImage {
    // All names of an untagged image are removed.
    let names = if image.tags.is_empty() { Vec::new() } else { image.image.names() };
    let others = names.into_iter().filter(|name| !is_removed_with(name, &image.tags));
    RemovedImage {
        service_image: image.service_image.clone(),
        image: image.image.id.clone(),
        tags: image.tags.clone(),
        freed_bytes,
        other_names: others.map(str::to_owned).collect(),
    }
}

/// Whether removing these tags removes the name: it is one of them, or a digest in one of their repositories.
fn is_removed_with(name: &str, tags: &[String]) -> bool {
    let repository = |tag: &String| tag.rsplit_once(':').map(|(repository, _)| format!("{repository}@"));
    tags.iter().any(|tag| tag == name || repository(tag).is_some_and(|start| name.starts_with(&start)))
}

/// Removes an image's tags, or all names of an untagged image. A name that docker refuses to remove is reported as kept, with
/// docker's message as the reason.
fn remove(
    image: &ImageToRemove,
    layers: &[Layer],
    report: &mut CleanReport,
    context: &Context,
) -> Result<()> {
    let docker = &context.docker;
    let mut names = image.tags.clone();
    if names.is_empty() {
        names.extend(image.image.repo_digests.iter().flatten().cloned());
        let repository = image.image.label(labels::TITLE).unwrap_or_default();
        names.push(run_tags::name_to_remove(&image.image.id, repository, docker)?);
    }
    let mut gone = ImageToRemove { tags: Vec::new(), ..image.clone() };
    let (mut deleted, mut removed_names) = (0, 0);
    for name in &names {
        match docker.untag(name) {
            Ok(digests) => {
                removed_names += 1;
                gone.tags.extend(image.tags.contains(name).then(|| name.clone()));
                deleted += digests.iter().filter(|digest| **digest != image.image.id).count();
            }
            Err(error) => {
                let reason = error.tail.lines().last().unwrap_or("docker refused").trim().to_owned();
                report.kept.push(KeptTag { reference: name.clone(), reason });
            }
        }
    }
    // The engine deletes layers from the top down, each only when nothing depends on it.
    let freed: Bytes = layers.iter().rev().take(deleted).map(|layer| layer.bytes).sum();
    if removed_names > 0 {
        context.terminal.say(format!("removed {gone}"));
        report.images.push(removed(&gone, freed));
    }
    Ok(())
}

/// Compares with the images that are left to find out what was really freed.
fn measure_freed(report: &mut CleanReport, layers: &BTreeMap<String, Bytes>, docker: &Docker) -> Result<()> {
    let left = docker.all_images()?;
    for removed in &mut report.images {
        let names = left.get(&removed.image).map(|image| image.repo_tags.iter().chain(&image.repo_digests));
        removed.other_names = names.into_iter().flatten().flatten().cloned().collect();
    }
    let needed: BTreeSet<&String> = left.values().flat_map(Image::layers).collect();
    let unneeded: Bytes =
        layers.iter().filter(|(layer, _)| !needed.contains(layer)).map(|(_, bytes)| *bytes).sum();
    report.freed_bytes = report.images.iter().map(|removed| removed.freed_bytes).sum();
    match docker.store()? {
        Store::Classic => report.held_by_cache_bytes = unneeded - report.freed_bytes,
        // The containerd store reports no deleted layers: it garbage-collects unneeded ones in its own time.
        Store::Containerd => report.freed_bytes = unneeded,
    }
    Ok(())
}
