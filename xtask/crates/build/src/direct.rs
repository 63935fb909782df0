//! Images that a builder pushes to a registry without a copy in the engine. They are pushed by digest, without a tag; once all of them
//! are in the registry, their tags are set.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::bake::{BakeOutcome, BuildOptions, bake};
use crate::bases::BasesMode;
use crate::environment::BuildEnvironment;
use crate::failure::combined;
use crate::package_date::{self, PackageDateChoice};
use crate::plan::BuildPlan;
use crate::planner::Planner;
use crate::push::digests::Digests;
use crate::push::plan::indexes;
use crate::push::report::{PushReport, PushState};
use crate::push::retag::{self, RemoteMove};
use crate::request::{BuildRequest, TaggedImage};
use crate::reuse::packages::Dates;
use crate::reuse::{Remaining, Reuse};
use crate::timings::{self, Timings};
use crate::{built_tag, large_contexts, shared_cache, upstreams};
use engine::builder::BuilderKind;
use engine::context::Context;
use engine::environment::{require_engine, require_reachable_builder};
use engine::images::Image;
use engine::remote_image::RemoteImage;
use host::failure::Failure;
use host::files::Lock;
use host::plural::count;
use model::image_ref::{ImageRef, Registry};
use model::manifest::Manifest;
use model::platform::Platform;

/// Where built images go.
#[derive(Debug, Clone, Copy)]
pub struct Destination<'a> {
    /// The registry.
    pub registry: &'a Registry,
    /// Whether to set only edition tags.
    pub fixed_tags: bool,
    /// Whether to set fingerprint tags, too.
    pub built_tags: bool,
}

/// What was built and pushed.
#[derive(Debug)]
pub struct DirectPush {
    /// The tags.
    pub report: PushReport,
    /// What failed with `keep_going`.
    pub failure: Option<Failure>,
    /// How long the steps took.
    pub timings: Timings,
}

/// An image in the registry.
struct Pushed {
    tagged: TaggedImage,
    digest: String,
    image: Image,
}

/// Builds the requested images that are not up to date in the registry, pushes them from the builder, and sets their tags: either all or
/// none.
///
/// # Errors
/// [`Failure`] when the builder cannot push, or anything fails and `keep_going` is not set; then no tag was set. Tags that the registry
/// rejects are part of the report.
pub fn build_and_push(
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    mode: BasesMode,
    options: &BuildOptions,
    to: Destination<'_>,
    context: &Context,
) -> Result<DirectPush> {
    let _lock = Lock::take(&context.repository.lock())?;
    let _record = Lock::take(&context.repository.push_lock())?;
    // Read first, so that a damaged record is reported before anything is built.
    let mut record = Digests::read(&context.repository)?;
    require_engine(context)?;
    require_pushing_builder(context)?;
    shared_cache::require_writer(options.cache.as_ref(), context)?;
    let upstreams = upstreams::of_request(manifest, request, &context.repository);
    let environment = BuildEnvironment::prepare(manifest, &upstreams, mode, &options.packages, context)?;
    if options.packages == PackageDateChoice::Refresh {
        package_date::remember_refresh(&environment.packages, &context.repository)?;
    }
    let mut plan = Planner::new(manifest, &environment, &context.repository).images(request);
    if to.fixed_tags {
        plan.images.iter_mut().for_each(|image| image.tagged = image.tagged.clone().with_fixed_tag());
    }
    let reuse = Reuse::new(&manifest.project, &environment, options, context);
    let there = in_registry(&plan, to.registry, context)?;
    let found = there.iter().map(|(tag, found)| (tag.clone(), found.image.clone())).collect();
    let Remaining { mut plan, kept, seen, .. } = reuse.remaining_in(plan, &found)?;
    if let Some(cache) = &options.cache {
        shared_cache::attach(&mut plan, cache, &manifest.project);
    }
    if !kept.is_empty() {
        let text = format!(
            "{} up to date in {}, {} to build.",
            count(kept.len(), "image"),
            to.registry,
            plan.images.len()
        );
        context.terminal.say(text);
    }
    large_contexts::warn(&plan, &seen, context);
    push_by_digest(&mut plan, to.registry);
    let mut outcome = baked(&plan, options, context)?;
    let mut steps = std::mem::take(&mut outcome.steps);
    if !plan.images.is_empty() && reuse.has_changed(&plan, &seen)? {
        context.terminal.warn("files changed during the build; the next run builds these images again");
        reuse.forget(&mut plan);
        plan.fresh.clear();
        let again = BuildOptions { no_cache: false, ..options.clone() };
        outcome = baked(&plan, &again, context)?;
        steps.append(&mut outcome.steps);
    }
    let mut pushed = of_outcome(&plan, &outcome, to.registry, context)?;
    let built: Vec<(TaggedImage, Image)> =
        pushed.iter().map(|one| (one.tagged.clone(), one.image.clone())).collect();
    reuse.record_images(&plan, &built)?;
    pushed.extend(kept.into_iter().filter_map(|tagged| kept_image(tagged, &there)));
    let project = to.built_tags.then_some(manifest.project.as_str());
    let moves = moves(&pushed, to.registry, project, context)?;
    let report = retag::all_or_none(&moves, to.registry, context)?;
    remember(&report, &mut record, context)?;
    let failure = (!outcome.failures.is_empty()).then(|| combined(&outcome.failures));
    Ok(DirectPush { report, failure, timings: timings::record(steps, context) })
}

fn baked(plan: &BuildPlan, options: &BuildOptions, context: &Context) -> Result<BakeOutcome> {
    match plan.images.is_empty() {
        true => Ok(BakeOutcome::default()),
        false => bake(plan, options, context)?.check(options.keep_going),
    }
}

/// Checks that the builder can push by digest: an engine's own builder cannot (docker/buildx, `build/build.go`).
///
/// # Errors
/// When the builder cannot push by digest, or does not work.
fn require_pushing_builder(context: &Context) -> Result<()> {
    const HELP: &str = "choose another with --builder NAME (`docker buildx create --driver docker-container --name NAME` \
                        creates one), or omit --no-load to push from the engine";
    require_reachable_builder(context)?;
    match context.docker.builder.kind() {
        BuilderKind::Created => Ok(()),
        BuilderKind::Engine | BuilderKind::OtherEngine => {
            Err(Failure::machine("an engine's own builder cannot push with --no-load", HELP).into())
        }
    }
}

/// The images in the registry under the tags of a plan, by local tag.
fn in_registry(
    plan: &BuildPlan,
    registry: &Registry,
    context: &Context,
) -> Result<BTreeMap<String, RemoteImage>> {
    let mut found = BTreeMap::new();
    for tag in plan.images.iter().flat_map(|image| &image.tagged.tags) {
        let name = tag.at(registry).to_string();
        let image = RemoteImage::look(&name, None, &context.docker.runner);
        context.docker.runner.interrupt.check()?;
        found.extend(
            image.with_context(|| format!("cannot look up {name}"))?.map(|image| (tag.to_string(), image)),
        );
    }
    Ok(found)
}

/// Makes the builder push the plan's images without a tag.
fn push_by_digest(plan: &mut BuildPlan, registry: &Registry) {
    for image in &plan.images {
        let Some(target) = plan.definition.target.get_mut(&image.target) else { continue };
        let repository = image.run_tag.at(registry);
        let name = repository.repository();
        target.tags.clear();
        target.output =
            vec![format!("type=image,name={name},push=true,push-by-digest=true,name-canonical=true")];
    }
}

/// The images that were built, as stored in the registry.
fn of_outcome(
    plan: &BuildPlan,
    outcome: &BakeOutcome,
    registry: &Registry,
    context: &Context,
) -> Result<Vec<Pushed>> {
    let built = plan.images.iter().filter(|image| outcome.built.contains(&image.target));
    let pushed = |image: &crate::plan::PlannedImage| {
        let digest = outcome.digests.get(&image.target);
        let digest =
            digest.with_context(|| format!("the builder returned no digest for {}", image.target))?;
        let tag = image.run_tag.at(registry);
        let name = format!("{}@{digest}", tag.repository());
        let found = RemoteImage::look(&name, None, &context.docker.runner)?;
        let image_there = match found {
            Some(found) => found.image,
            // Explains why it is missing.
            None => {
                retag::pushed_manifest(&tag, digest, context)?;
                anyhow::bail!("the registry does not have {name}")
            }
        };
        Ok(Pushed { tagged: image.tagged.clone(), digest: digest.clone(), image: image_there })
    };
    built.map(pushed).collect()
}

/// An image that is up to date in the registry, under all its tags.
fn kept_image(tagged: TaggedImage, there: &BTreeMap<String, RemoteImage>) -> Option<Pushed> {
    let found = there.get(&tagged.tags.first()?.to_string())?;
    Some(Pushed { digest: found.digest.clone(), image: found.image.clone(), tagged })
}

/// The tags to set: first the images' tags, then the tags of the indexes that contain them. `project`: also set its fingerprint tags.
fn moves(
    pushed: &[Pushed],
    registry: &Registry,
    project: Option<&str>,
    context: &Context,
) -> Result<Vec<RemoteMove>> {
    let dates = Dates::read(&context.repository)?;
    let mut moves = Vec::new();
    let mut digests: BTreeMap<ImageRef, &str> = BTreeMap::new();
    for one in pushed {
        let tags: Vec<ImageRef> = one.tagged.own_tags().map(|tag| tag.at(registry)).collect();
        let Some(first) = tags.first().cloned() else { continue };
        let bytes = retag::pushed_manifest(&first, &one.digest, context)?;
        digests.extend(tags.iter().map(|tag| (tag.clone(), one.digest.as_str())));
        let built = project.and_then(|project| built_tag::of_image(&one.image, project, &dates));
        let built = built.map(|tag| (ImageRef::new(first.repository(), tag), true));
        let all = tags.into_iter().map(|tag| (tag, false)).chain(built);
        moves.extend(all.map(|(reference, is_fixed)| RemoteMove {
            reference,
            service_image: one.tagged.image.clone(),
            id: Some(one.image.id.clone()),
            bytes: bytes.clone(),
            platforms: BTreeMap::new(),
            is_fixed,
        }));
    }
    let requested: Vec<TaggedImage> = pushed.iter().map(|one| one.tagged.clone()).collect();
    for index in indexes(&requested, registry) {
        if !index.missing.is_empty() {
            let missing: Vec<String> = index.missing.iter().map(Platform::to_string).collect();
            context.terminal.warn(format!(
                "the index {} was not pushed: it also needs {}\nhelp: build and push all platforms in one command",
                index.reference,
                missing.join(", ")
            ));
            continue;
        }
        let platforms: BTreeMap<String, String> = index
            .images
            .iter()
            .filter_map(|(platform, tag)| Some((platform.to_string(), (*digests.get(tag)?).to_owned())))
            .collect();
        let names: Vec<String> =
            platforms.values().map(|digest| format!("{}@{digest}", index.reference.repository())).collect();
        let bytes = context.docker.index_of(&names).map_err(|error| anyhow::anyhow!("{error}"))?;
        moves.push(RemoteMove {
            reference: index.reference,
            service_image: index.service_image,
            id: None,
            bytes: bytes.into_bytes(),
            platforms,
            is_fixed: false,
        });
    }
    Ok(moves)
}

/// Records the digests of the tags that were set. Fingerprint tags are not recorded: they may name other images.
fn remember(report: &PushReport, record: &mut Digests, context: &Context) -> Result<()> {
    record_tags(report, record);
    record.write(&context.repository)
}

fn record_tags(report: &PushReport, record: &mut Digests) {
    let set = [PushState::Pushed, PushState::Replaced, PushState::Unchanged];
    for row in report.images.iter().filter(|row| set.contains(&row.state) && !row.is_built) {
        let (name, id) = (row.reference.to_string(), row.image.clone().unwrap_or_default());
        let Some(digest) = &row.digest else { continue };
        let platforms =
            row.platforms.iter().filter_map(|(name, digest)| Some((name.parse().ok()?, digest.clone())));
        record.add_index(&name, &row.service_image, &id, digest, &platforms.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::push::report::PushRow;
    use crate::request::ServiceImage;
    use model::edition::Edition;
    use model::variant::Variant;

    #[test]
    fn a_fingerprint_tag_that_was_there_is_not_recorded_as_ours() {
        let service_image = ServiceImage {
            service: "x".into(),
            edition: Edition::NONE,
            variant: Variant::Optimized,
            platform: None,
        };
        let row = |tag, digest: &str, is_built| PushRow {
            digest: Some(digest.to_owned()),
            is_built,
            ..PushRow::new(
                &ImageRef::new("r.example/x", tag),
                &service_image,
                Some("id".into()),
                PushState::Unchanged,
            )
        };
        let images = vec![row("1", "sha256:ours", false), row("built-1", "sha256:theirs", true)];
        let report = PushReport { schema: 1, registry: "r.example".into(), images, unrecorded: None };
        let mut record = Digests::default();
        record_tags(&report, &mut record);
        assert_eq!(record.references().collect::<Vec<_>>(), ["r.example/x:1"]);
    }
}
