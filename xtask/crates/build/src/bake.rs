//! Runs a build plan with `docker buildx bake`: retries when the network failed, and with `--keep-going` again without what
//! failed.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::failure::{BuildFailure, FailedStep, combined};
use crate::plan::BuildPlan;
use crate::progress::Progress;
use crate::shared_cache::RegistryCache;
use engine::bake::BakeOptions;
use engine::context::Context;
use engine::environment::require_buildx;
use engine::events::{Event, Stream};
use host::{files, wait};

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Options of bake itself.
    pub bake: BakeOptions,
    /// Publish what could be built when something fails; otherwise all or nothing.
    pub keep_going: bool,
    /// The maximum number of requested targets in one bake.
    pub jobs: Option<usize>,
    /// Finish what a run left that may still be active on another machine.
    pub break_lock: bool,
    /// A build cache shared with other machines.
    pub cache: Option<RegistryCache>,
}

/// What was built and what failed.
#[derive(Debug, Clone, Default)]
pub struct BakeOutcome {
    /// The built targets.
    pub built: Vec<String>,
    /// The failures.
    pub failures: Vec<BuildFailure>,
}

impl BakeOutcome {
    /// Fails if anything failed, unless `keep_going` is set and something was built.
    ///
    /// # Errors
    /// All failures as one.
    pub fn check(self, keep_going: bool, context: &Context) -> Result<BakeOutcome> {
        if self.failures.is_empty() || (keep_going && !self.built.is_empty()) {
            return Ok(self);
        }
        if self.failures.iter().any(|failure| failure.targets.is_empty()) {
            // Bake failed before any step: Buildx may be missing or too old.
            require_buildx(context)?;
        }
        Err(combined(&self.failures).into())
    }
}

const ATTEMPTS: u32 = 3;

/// Builds the plan's requested targets.
///
/// # Errors
/// When bake cannot be run or the user interrupts. Failed builds are part of the outcome.
pub fn bake(plan: &BuildPlan, options: &BuildOptions, context: &Context) -> Result<BakeOutcome> {
    let json = serde_json::to_vec_pretty(&plan.definition).context("the bake definition")?;
    files::write_atomically(&context.repository.bake_definition(), &json)?;
    let mut outcome = BakeOutcome::default();
    for chunk in plan.requested().chunks(options.jobs.unwrap_or(usize::MAX).max(1)) {
        bake_chunk(chunk.to_vec(), plan, options, context, &mut outcome)?;
        if !outcome.failures.is_empty() && !options.keep_going {
            break;
        }
    }
    Ok(outcome)
}

fn bake_chunk(
    mut targets: Vec<String>,
    plan: &BuildPlan,
    options: &BuildOptions,
    context: &Context,
    outcome: &mut BakeOutcome,
) -> Result<()> {
    let mut attempt = 1;
    // A base that failed for one target fails for every target that depends on it.
    targets.retain(|target| !outcome.failures.iter().any(|failure| is_affected(plan, target, failure)));
    while !targets.is_empty() {
        let Some(failure) = bake_once(&targets, plan, options, context)? else {
            outcome.built.append(&mut targets);
            return Ok(());
        };
        if failure.class.is_transient() && attempt < ATTEMPTS {
            context.terminal.warn(format!(
                "network error: {}; retry {attempt} of {}",
                failure.error,
                ATTEMPTS - 1
            ));
            wait::pause(Duration::from_secs(u64::from(attempt) * 2), &context.docker.runner.interrupt)?;
            attempt += 1;
            continue;
        }
        let left: Vec<String> =
            targets.iter().filter(|target| !is_affected(plan, target, &failure)).cloned().collect();
        let narrowed = left.len() < targets.len();
        outcome.failures.push(failure);
        if !options.keep_going || !narrowed {
            return Ok(());
        }
        targets = left;
        attempt = 1;
    }
    Ok(())
}

fn is_affected(plan: &BuildPlan, target: &str, failure: &BuildFailure) -> bool {
    failure.targets.iter().any(|failed| plan.depends_on(target, failed))
}

/// Runs bake once and returns its failure, if any.
fn bake_once(
    targets: &[String],
    plan: &BuildPlan,
    options: &BuildOptions,
    context: &Context,
) -> Result<Option<BuildFailure>> {
    let (docker, repository) = (&context.docker, &context.repository);
    let names: Vec<String> = plan.definition.target.keys().cloned().collect();
    let mut progress = Progress::new(&context.terminal, &repository.logs(), &names)?;
    let mut stream = Stream::default();
    let mut failed: Option<FailedStep> = None;
    let cmd = docker.bake(&repository.bake_definition(), targets, &options.bake);
    let status = cmd.stream(|chunk| {
        for event in stream.push(chunk) {
            progress.handle(&event);
            if let Event::Failed { targets, step, error, tail } = event {
                // Steps cancelled because of another failure are not the cause.
                let is_cause = !error.contains("context canceled");
                if is_cause && failed.is_none() {
                    failed = Some(FailedStep { targets, step, error, tail });
                }
            }
        }
    })?;
    docker.runner.interrupt.check()?;
    if status.success() {
        return Ok(None);
    }
    Ok(Some(BuildFailure::new(failed, &stream.text(), plan, repository)))
}
