//! A whole build, from the request to the tags: what `build-images` and `ci` share.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

use crate::bases;
use crate::bases::{Mode, Source};
use crate::failure::{self, BuildFailure};
use crate::plan;
use crate::plan::{BuildPlan, PlannedImage, Request, World};
use crate::publish;
use crate::run;
use crate::run::{Outcome, Policy};
use crate::shared_cache;
use engine::context::Context;
use engine::environment::{require_buildx, require_engine};
use engine::trust::Trust;
use host::failure::{FailureClass, class_of};
use host::files::Lock;
use model::manifest::{Manifest, Service};

/// What a build made.
#[derive(Debug)]
pub struct Produced {
    /// The images whose tags moved.
    pub images: Vec<PlannedImage>,
    /// What failed where going on was asked for.
    pub failures: Vec<BuildFailure>,
}

/// Builds what is requested and moves its tags: all of them, or none.
///
/// # Errors
/// [`Failure`] when anything failed and going on was not asked for; then no tag has moved.
pub fn produce(
    manifest: &Manifest,
    request: &Request<'_>,
    mode: Mode,
    policy: &Policy,
    context: &Context,
) -> Result<Produced> {
    require_engine(context)?;
    shared_cache::require_writer(policy.cache.as_ref(), policy.options.builder.as_deref(), context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    publish::recover(context)?;
    let world =
        world(manifest, &plan::upstreams(manifest, request, &context.repository), mode, policy, context)?;
    let mut plan = plan::plan(manifest, request, &world, &context.repository);
    if let Some(cache) = &policy.cache {
        shared_cache::attach(&mut plan, cache, &manifest.project);
    }
    let mut journal = publish::begin(&plan.images, &context.repository)?;
    let result = build_and_publish(&plan, &mut journal, policy, context);
    if let Err(error) = &result
        && class_of(error) == FailureClass::Unfinished
    {
        return result;
    }
    let ended = publish::end(&journal, &context.docker, &context.repository);
    // What went wrong first is what a person wants to read.
    result.and_then(|produced| ended.map(|()| produced))
}

fn build_and_publish(
    plan: &BuildPlan,
    journal: &mut publish::Journal,
    policy: &Policy,
    context: &Context,
) -> Result<Produced> {
    let outcome = settle(run::run(plan, policy, context)?, policy, context)?;
    let built = |image: &&PlannedImage| outcome.built.contains(&image.target);
    let images: Vec<&PlannedImage> = plan.images.iter().filter(built).collect();
    publish::publish(journal, &images, &context.docker, &context.repository)?;
    Ok(Produced { images: images.into_iter().cloned().collect(), failures: outcome.failures })
}

/// Runs the services' own tests in the stages that their Dockerfiles name.
///
/// # Errors
/// [`Failure`] with the last lines of the tests that failed.
pub fn test(
    manifest: &Manifest,
    services: &[&Service],
    request: &Request<'_>,
    mode: Mode,
    context: &Context,
) -> Result<usize> {
    require_engine(context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    let policy = Policy { keep_going: true, ..Policy::default() };
    let world =
        world(manifest, &plan::upstreams(manifest, request, &context.repository), mode, &policy, context)?;
    let plan = plan::test_plan(manifest, services, request.default_edition, &world, &context.repository);
    if plan.requested().is_empty() {
        return Ok(0);
    }
    let outcome = run::run(&plan, &policy, context)?;
    if outcome.failures.is_empty() {
        Ok(outcome.built.len())
    } else {
        Err(failure::ended_by(&outcome.failures).into())
    }
}

/// Builds the images of the stack tests.
///
/// # Errors
/// [`Failure`].
pub fn stack_tests(manifest: &Manifest, mode: Mode, context: &Context) -> Result<()> {
    require_engine(context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    let policy = Policy::default();
    let dockerfiles = manifest.stack_tests.iter().map(|test| test.dockerfile.as_str()).collect();
    let upstreams = plan::upstreams_of(manifest, dockerfiles, &context.repository);
    let world = world(manifest, &upstreams, mode, &policy, context)?;
    let plan = plan::stack_test_plan(manifest, &world, &context.repository);
    if plan.requested().is_empty() {
        return Ok(());
    }
    settle(run::run(&plan, &policy, context)?, &policy, context).map(drop)
}

/// Has a build answer a question.
///
/// # Errors
/// [`Failure`]; the environment's, where no registry answers.
pub fn answer(manifest: &Manifest, question: &plan::Question<'_>, context: &Context) -> Result<()> {
    require_engine(context)?;
    let _lock = Lock::take(&context.repository.lock())?;
    let policy = Policy::default();
    let upstreams = plan::upstreams_of(manifest, vec![question.dockerfile], &context.repository);
    let world = world(manifest, &upstreams, Mode::Auto, &policy, context)?;
    let plan = plan::question_plan(manifest, question, &world, &context.repository);
    settle(run::run(&plan, &policy, context)?, &policy, context).map(drop)
}

/// Failures end the build, unless going on was asked for and something was built.
fn settle(outcome: Outcome, policy: &Policy, context: &Context) -> Result<Outcome> {
    if outcome.failures.is_empty() || (policy.keep_going && !outcome.built.is_empty()) {
        return Ok(outcome);
    }
    if outcome.failures.iter().any(|failure| failure.targets.is_empty()) {
        // Bake itself failed, before any step: it may be missing or too old.
        require_buildx(context)?;
    }
    Err(failure::ended_by(&outcome.failures).into())
}

/// Looks at everything that a plan depends on; chooses bases and makes their stand-ins where needed.
///
/// # Errors
/// When the bases cannot be had.
pub fn world(
    manifest: &Manifest,
    upstreams: &[&model::manifest::Upstream],
    mode: Mode,
    policy: &Policy,
    context: &Context,
) -> Result<World> {
    let choice = bases::choose(mode, upstreams, policy.options.builder.as_deref(), context)?;
    if choice.source == Source::StandIn {
        bases::bootstrap(manifest, context)?;
    }
    world_of(upstreams, choice.source, context)
}

/// The same for a choice that is made, without any effect on the machine.
///
/// # Errors
/// When the toolchain that a stand-in copies cannot be found.
pub fn world_of(
    upstreams: &[&model::manifest::Upstream],
    source: Source,
    context: &Context,
) -> Result<World> {
    let needs_host = source == Source::StandIn;
    Ok(World {
        trust: Trust::detect(),
        bases: source,
        host_contexts: if needs_host {
            bases::host_contexts(upstreams, &context.docker.runner)?
        } else {
            Default::default()
        },
        revision: context.git().revision(),
        run: run_name(),
    })
}

fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("run-{:x}-{:x}", now.as_millis(), std::process::id())
}
