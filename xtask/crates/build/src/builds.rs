//! The builds that commands run: images, the services' own tests, the images of stack tests, queries. Each checks the
//! engine, takes the checkout's lock, plans and bakes.

use std::collections::BTreeMap;
use std::thread;

use anyhow::Result;

use crate::bake::{BakeOutcome, BuildOptions, bake};
use crate::bases::{self, BasesMode};
use crate::comparison::measure;
use crate::environment::BuildEnvironment;
use crate::failure::combined;
use crate::package_date::{self, PackageDateChoice};
use crate::plan::{BuildPlan, PlannedImage};
use crate::planner::{BuildQuery, Planner};
use crate::publish::Publisher;
use crate::publish::moves::MissingImage;
use crate::publish::run_tags;
use crate::request::{BuildRequest, TaggedImage};
use crate::reuse::pull::PulledImage;
use crate::reuse::seen::Seen;
use crate::reuse::{Remaining, Reuse};
use crate::timings::Timings;
use crate::upstreams::{self, NeededUpstreams};
use crate::{large_contexts, other_builders, shared_cache, timings};
use engine::context::Context;
use engine::environment::require_engine;
use engine::images::Image;
use host::failure::{Failure, FailureClass, class_of};
use host::files::Lock;
use host::plural::count;
use model::image_ref::repository_of;
use model::manifest::Manifest;

/// Maximum attempts when other runs remove built images.
const ROUNDS: usize = 3;

/// The result of building images.
#[derive(Debug)]
pub struct BuiltImages {
    /// The images whose tags were set, and those that were up to date.
    pub images: Vec<TaggedImage>,
    /// The number of images that were up to date and not built.
    pub kept: usize,
    /// The number of images that were pulled instead.
    pub pulled: usize,
    /// What failed with `keep_going`.
    pub failure: Option<Failure>,
    /// If nothing was built: the images that a comparison needs, by reference.
    pub listed: Option<BTreeMap<String, Image>>,
    /// How long the steps took; empty if nothing was built.
    pub timings: Timings,
}

/// Builds the requested images that are not up to date, and sets their tags: all of them, or none.
///
/// # Errors
/// [`Failure`] when anything failed and `keep_going` is not set; then no tag has moved.
pub fn images(
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    mode: BasesMode,
    options: &BuildOptions,
    context: &Context,
) -> Result<BuiltImages> {
    let _lock = Lock::take(&context.repository.lock())?;
    let upstreams = upstreams::of_request(manifest, request, &context.repository);
    let publisher = Publisher::new(&manifest.project, options.break_lock, context);
    if options.keeps_images()
        && let Some(built) = up_to_date(manifest, request, &upstreams, mode, options, context)
    {
        return Ok(built);
    }
    require_engine(context)?;
    shared_cache::require_writer(options.cache.as_ref(), context)?;
    publisher.recover()?;
    other_builders::recover(&manifest.project, context)?;
    let environment = BuildEnvironment::prepare(manifest, &upstreams, mode, &options.packages, context)?;
    if options.packages == PackageDateChoice::Refresh {
        package_date::remember_refresh(&environment.packages, &context.repository)?;
    }
    let mut plan = Planner::new(manifest, &environment, &context.repository).images(request);
    add_plain_tags(&mut plan, context)?;
    let reuse = Reuse::new(&manifest.project, &environment, options, context);
    let Remaining { mut plan, kept, prints, seen } = reuse.remaining(plan)?;
    if let Some(cache) = &options.cache {
        shared_cache::attach(&mut plan, cache, &manifest.project);
    }
    // Pushes write the same record.
    let _record =
        options.pull_built.as_ref().map(|_| Lock::take(&context.repository.push_lock())).transpose()?;
    let temporary: Vec<String> = plan.images.iter().map(|image| image.run_tag.to_string()).collect();
    let pulled = match &options.pull_built {
        Some(registry) => reuse.pull(&mut plan, &prints, registry, context)?,
        None => Vec::new(),
    };
    say_what_is_left(&plan, kept.len(), pulled.len(), context);
    large_contexts::warn(&plan, &seen, context);
    let result = bake_and_publish(&mut plan, &pulled, &publisher, &reuse, &seen, options, context);
    if let Err(error) = &result
        && matches!(class_of(error), FailureClass::Unfinished | FailureClass::Engine)
    {
        // Keep the temporary tags: the next run needs the images to finish the moves, then removes the tags.
        return result;
    }
    let removed = context.docker.remove_unused(&temporary);
    // The first error is the useful one.
    let mut built = result.and_then(|built| removed.map(|_| built))?;
    reuse.record(&plan, &built.images)?;
    if let Some(registry) = &options.pull_built {
        reuse.record_pulled(&plan, &prints, &pulled, registry)?;
    }
    built.pulled = pulled.len();
    built.images.extend(pulled.into_iter().map(|pulled| pulled.image.tagged));
    built.kept = kept.len();
    built.images.extend(kept);
    Ok(built)
}

/// All requested images, if all are up to date. Queries the engine once. Does not lock tags, because no tag moves. Returns `None`
/// on errors: the build reports them.
fn up_to_date(
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    upstreams: &NeededUpstreams<'_>,
    mode: BasesMode,
    options: &BuildOptions,
    context: &Context,
) -> Option<BuiltImages> {
    let source = bases::known(mode, upstreams, context)?;
    let (tags, environment) = thread::scope(|scope| {
        let tags = scope.spawn(|| context.docker.list_tags());
        let environment = BuildEnvironment::detect(upstreams, source, &options.packages, context);
        (tags.join(), environment)
    });
    let (tags, environment) = (tags.ok()?.ok()?, environment.ok()?);
    // The temporary tags of a killed run show that its tag moves may be unfinished.
    if tags.names().any(|tag| is_left_by_run(tag, manifest)) {
        return None;
    }
    let mut plan = Planner::new(manifest, &environment, &context.repository).images(request);
    add_plain_tags(&mut plan, context).ok()?;
    let reuse = Reuse::new(&manifest.project, &environment, options, context);
    let compared = request.editions.iter().flat_map(|&edition| {
        measure::references(&measure::in_edition(&request.services, edition), edition, &request.tag)
    });
    let (remaining, listed) = reuse.remaining_of(plan, compared.collect(), &tags).ok()?;
    let images = remaining.kept;
    let built = BuiltImages {
        kept: images.len(),
        images,
        pulled: 0,
        failure: None,
        listed: Some(listed),
        timings: Timings::default(),
    };
    remaining.plan.images.is_empty().then_some(built)
}

/// Whether this is a temporary tag of one of the project's images.
fn is_left_by_run(tag: &str, manifest: &Manifest) -> bool {
    run_tags::life(tag).is_some()
        && manifest.services.iter().any(|service| service.image == repository_of(tag))
}

/// Prints how many images are built, unless all of them are.
fn say_what_is_left(plan: &BuildPlan, kept: usize, pulled: usize, context: &Context) {
    let known = [(kept, "up to date"), (pulled, "pulled")];
    let known: Vec<String> = known
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number, "image")))
        .collect();
    if !known.is_empty() {
        context.terminal.say(format!("{}, {} to build.", known.join(", "), plan.images.len()));
    }
}

/// Adds the plain tags, which local commands use, to the images for the engine's own platform. Only these tags depend on the engine.
fn add_plain_tags(plan: &mut BuildPlan, context: &Context) -> Result<()> {
    if plan.images.iter().all(|image| image.tagged.plain.is_empty()) {
        return Ok(());
    }
    let engine = context.docker.platform()?;
    plan.images.iter_mut().for_each(|image| image.tagged.add_plain_tags(&engine));
    Ok(())
}

fn bake_and_publish(
    plan: &mut BuildPlan,
    pulled: &[PulledImage],
    publisher: &Publisher<'_>,
    reuse: &Reuse<'_>,
    seen: &Seen,
    options: &BuildOptions,
    context: &Context,
) -> Result<BuiltImages> {
    // All images may have been pulled.
    let baked = |plan: &BuildPlan, options: &BuildOptions| match plan.images.is_empty() {
        true => Ok(BakeOutcome::default()),
        false => bake(plan, options, context)?.check(options.keep_going),
    };
    let mut outcome = baked(plan, options)?;
    let mut steps = std::mem::take(&mut outcome.steps);
    // The cache now has what was built.
    let again = BuildOptions { no_cache: false, ..options.clone() };
    plan.fresh.clear();
    if !plan.images.is_empty() && reuse.has_changed(plan, seen)? {
        context.terminal.warn("files changed during the build; the next run builds these images again");
        reuse.forget(plan);
        outcome = baked(plan, &again)?;
        steps.append(&mut outcome.steps);
    }
    let plan = &*plan;
    let built = |outcome: &BakeOutcome| -> Vec<&PlannedImage> {
        plan.images.iter().filter(|image| outcome.built.contains(&image.target)).collect()
    };
    let publish = |outcome: &BakeOutcome| {
        let pulled = pulled.iter().map(|pulled| &pulled.image);
        publisher.publish(&built(outcome).into_iter().chain(pulled).collect::<Vec<_>>())
    };
    let mut published = publish(&outcome);
    for _ in 1..ROUNDS {
        let Some(missing) = published.as_ref().err().and_then(|error| error.downcast_ref::<MissingImage>())
        else {
            break;
        };
        context.terminal.say(format!("{missing}; building again"));
        outcome = baked(plan, &again)?;
        steps.append(&mut outcome.steps);
        published = publish(&outcome);
    }
    published?;
    let images = built(&outcome);
    let images = images.into_iter().map(|image| image.tagged.clone()).collect();
    let failure = (!outcome.failures.is_empty()).then(|| combined(&outcome.failures));
    Ok(BuiltImages {
        images,
        kept: 0,
        pulled: 0,
        failure,
        listed: None,
        timings: timings::record(steps, context),
    })
}

/// Runs the services' own tests in the stages that their Dockerfiles name, and returns how many services were tested.
///
/// # Errors
/// [`Failure`] with the last lines of the tests that failed.
pub fn service_tests(
    manifest: &Manifest,
    request: &BuildRequest<'_>,
    mode: BasesMode,
    context: &Context,
) -> Result<usize> {
    require_engine(context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    let upstreams = upstreams::of_request(manifest, request, &context.repository);
    let period = PackageDateChoice::default();
    let environment = BuildEnvironment::prepare(manifest, &upstreams, mode, &period, context)?;
    let planner = Planner::new(manifest, &environment, &context.repository);
    let plan = planner.service_tests(&request.services, request.default_edition);
    if plan.requested().is_empty() {
        return Ok(0);
    }
    let options = BuildOptions { keep_going: true, ..BuildOptions::default() };
    let outcome = bake(&plan, &options, context)?;
    match outcome.failures.as_slice() {
        [] => Ok(outcome.built.len()),
        failures => Err(combined(failures).into()),
    }
}

/// Builds the images of the stack tests.
///
/// # Errors
/// [`Failure`] when one cannot be built.
pub fn stack_tests(manifest: &Manifest, mode: BasesMode, context: &Context) -> Result<()> {
    let dockerfiles: Vec<&str> = manifest.stack_tests.iter().map(|test| test.dockerfile.as_str()).collect();
    require_engine(context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    let environment = environment(manifest, &dockerfiles, mode, context)?;
    let plan = Planner::new(manifest, &environment, &context.repository).stack_tests();
    if plan.requested().is_empty() {
        return Ok(());
    }
    bake(&plan, &BuildOptions::default(), context)?.check(false).map(drop)
}

/// Runs a build that writes the answer to a query.
///
/// # Errors
/// [`Failure`]; of an environment class if no registry answers.
pub fn query(manifest: &Manifest, query: &BuildQuery<'_>, context: &Context) -> Result<()> {
    require_engine(context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    let environment = environment(manifest, &[query.dockerfile], BasesMode::Auto, context)?;
    let plan = Planner::new(manifest, &environment, &context.repository).query(query);
    bake(&plan, &BuildOptions::default(), context)?.check(false).map(drop)
}

fn environment(
    manifest: &Manifest,
    dockerfiles: &[&str],
    mode: BasesMode,
    context: &Context,
) -> Result<BuildEnvironment> {
    let upstreams = upstreams::of_dockerfiles(manifest, dockerfiles, &context.repository);
    let period = PackageDateChoice::default();
    BuildEnvironment::prepare(manifest, &upstreams, mode, &period, context)
}
