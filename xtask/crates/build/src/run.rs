//! Carrying out a plan: one bake, tried again when the network failed, and again without what failed when asked to go on.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::failure::{BuildFailure, FailedStep};
use crate::plan::BuildPlan;
use crate::progress::Progress;
use crate::shared_cache::RegistryCache;
use engine::bake::BakeOptions;
use engine::context::Context;
use engine::events::{Event, Stream};
use host::files;
use host::wait;

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// For bake.
    pub options: BakeOptions,
    /// Build what can be built, in place of all or nothing.
    pub keep_going: bool,
    /// At most so many requested targets in one bake.
    pub jobs: Option<usize>,
    /// A build cache shared with other machines.
    pub cache: Option<RegistryCache>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Targets that are built.
    pub built: Vec<String>,
    /// What failed; nothing is published when anything did, unless going on was asked for.
    pub failures: Vec<BuildFailure>,
}

/// A refused connection is worth three tries in all.
const ATTEMPTS: u32 = 3;

/// Builds the plan's requested targets.
///
/// # Errors
/// When bake cannot be run at all, or the person interrupts. Failed builds are in the outcome.
pub fn run(plan: &BuildPlan, policy: &Policy, context: &Context) -> Result<Outcome> {
    let json = serde_json::to_vec_pretty(&plan.definition).context("the bake definition")?;
    files::write_atomically(&context.repository.bake_definition(), &json)?;
    let mut outcome = Outcome::default();
    let requested = plan.requested();
    for chunk in requested.chunks(policy.jobs.unwrap_or(usize::MAX).max(1)) {
        build_chunk(chunk.to_vec(), plan, policy, context, &mut outcome)?;
        if !outcome.failures.is_empty() && !policy.keep_going {
            break;
        }
    }
    Ok(outcome)
}

fn build_chunk(
    mut targets: Vec<String>,
    plan: &BuildPlan,
    policy: &Policy,
    context: &Context,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut attempt = 1;
    // A base that failed for one target fails for all that stand on it.
    targets.retain(|target| !outcome.failures.iter().any(|failure| is_hit(plan, target, failure)));
    while !targets.is_empty() {
        let Some(failure) = bake(&targets, plan, policy, context)? else {
            outcome.built.append(&mut targets);
            return Ok(());
        };
        if failure.class.is_transient() && attempt < ATTEMPTS {
            context.terminal.warn(format!(
                "the network failed ({}); trying again, {attempt} of {}",
                failure.error,
                ATTEMPTS - 1
            ));
            wait::pause(Duration::from_secs(u64::from(attempt) * 2), &context.docker.runner.interrupt)?;
            attempt += 1;
            continue;
        }
        let left: Vec<String> =
            targets.iter().filter(|target| !is_hit(plan, target, &failure)).cloned().collect();
        let narrowed = left.len() < targets.len();
        outcome.failures.push(failure);
        if !policy.keep_going || !narrowed {
            return Ok(());
        }
        targets = left;
        attempt = 1;
    }
    Ok(())
}

fn is_hit(plan: &BuildPlan, target: &str, failure: &BuildFailure) -> bool {
    failure.targets.iter().any(|failed| plan.stands_on(target, failed))
}

/// One call of bake; its failure, if it failed.
fn bake(
    targets: &[String],
    plan: &BuildPlan,
    policy: &Policy,
    context: &Context,
) -> Result<Option<BuildFailure>> {
    let (docker, repository) = (&context.docker, &context.repository);
    let names: Vec<String> = plan.definition.target.keys().cloned().collect();
    let mut progress = Progress::new(&context.terminal, &repository.logs(), &names)?;
    let mut stream = Stream::default();
    let mut failed: Option<FailedStep> = None;
    let cmd = docker.bake(&repository.bake_definition(), targets, &policy.options);
    let status = cmd.stream(|chunk| {
        for event in stream.push(chunk) {
            progress.take(&event);
            if let Event::Failed { targets, step, error, tail } = event {
                // What was cancelled because something else failed is not the cause.
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
