//! Runs a build plan with `docker buildx bake`: splits large plans, retries transient failures, and with `--keep-going`
//! continues without the failed targets.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::declared_secrets;
use crate::failure::{BuildFailure, FailedStep, combined};
use crate::other_builders;
use crate::package_date::PackageDateChoice;
use crate::plan::BuildPlan;
use crate::platform_fault;
use crate::progress::Progress;
use crate::secret_arguments;
use crate::shared_cache::RegistryCache;
use crate::timings::StepTiming;
use engine::bake::BakeOptions;
use engine::bake_additions::BakeAdditions;
use engine::bake_report::failed_instruction;
use engine::context::Context;
use engine::docker::Docker;
use engine::dotenv;
use engine::environment::require_builder;
use engine::events::{Event, Stream};
use engine::signs::is_overload;
use host::{files, wait};
use model::image_ref::Registry;

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Options of bake itself.
    pub bake: BakeOptions,
    /// Ignore the build cache.
    pub no_cache: bool,
    /// Publish what could be built when something fails; otherwise all or nothing.
    pub keep_going: bool,
    /// The maximum number of requested targets in one bake.
    pub jobs: Option<usize>,
    /// Take over a lock even if its holder may still be running on another machine.
    pub break_lock: bool,
    /// Since when Debian packages are wanted.
    pub packages: PackageDateChoice,
    /// The registry from which to pull images that other machines built.
    pub pull_built: Option<Registry>,
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
    /// The finished steps, in order.
    pub steps: Vec<StepTiming>,
    /// The digests of images that the builder pushed, by target.
    pub digests: BTreeMap<String, String>,
}

impl BuildOptions {
    /// Whether images that are up to date need not be built.
    pub fn keeps_images(&self) -> bool {
        let fills_cache = self.cache.as_ref().is_some_and(|cache| cache.write);
        !self.no_cache && !self.bake.pull && !fills_cache && self.packages != PackageDateChoice::Refresh
    }
}

impl BakeOutcome {
    /// Fails if anything failed, unless `keep_going` is set and something was built.
    ///
    /// # Errors
    /// All failures as one.
    pub fn check(self, keep_going: bool) -> Result<BakeOutcome> {
        if self.failures.is_empty() || (keep_going && !self.built.is_empty()) {
            return Ok(self);
        }
        Err(combined(&self.failures).into())
    }
}

const ATTEMPTS: u32 = 3;

/// Builds the plan's requested targets in one or more bakes.
///
/// # Errors
/// When bake cannot be run, the engine or the builder does not work, or the user interrupts. Failed builds are reported in
/// the outcome.
pub fn bake(plan: &BuildPlan, options: &BuildOptions, context: &Context) -> Result<BakeOutcome> {
    let mut plan = plan.clone();
    other_builders::set_platform(&mut plan, context)?;
    let plan = &plan;
    secret_arguments::register(&plan.definition, &context.docker.runner.secrets)?;
    let json = plan.definition.json().context("the bake definition")?;
    // Build arguments of a Compose file may hold secrets.
    let file = context.repository.bake_definition();
    files::write_private(&file, json.as_bytes())?;
    let secrets = &context.docker.runner.secrets;
    let variables = declared_secrets::register(&plan.definition, &dotenv::environment(), secrets)?;
    let version = || Ok(context.docker.buildx_version()?);
    let additions = BakeAdditions::new(&plan.definition, &file, version)?.with_variables(variables);
    let mut bakes = Bakes { plan, options, additions, context, outcome: BakeOutcome::default() };
    let result = bakes.all();
    let tidied = other_builders::tidy(plan, context);
    // The first error is the useful one.
    result.and(tidied)?;
    Ok(bakes.outcome)
}

/// The bakes of one plan and their outcome so far.
struct Bakes<'a> {
    plan: &'a BuildPlan,
    options: &'a BuildOptions,
    additions: BakeAdditions,
    context: &'a Context,
    outcome: BakeOutcome,
}

impl Bakes<'_> {
    fn all(&mut self) -> Result<()> {
        for targets in self.plan.bakes(self.options.jobs) {
            self.add(targets)?;
            if self.must_stop() {
                break;
            }
        }
        Ok(())
    }

    fn must_stop(&self) -> bool {
        !self.outcome.failures.is_empty() && !self.options.keep_going
    }

    fn is_affected(&self, target: &str, failure: &BuildFailure) -> bool {
        failure.targets.iter().any(|failed| self.plan.depends_on(target, failed))
    }

    fn add(&mut self, mut targets: Vec<String>) -> Result<()> {
        let mut attempt = 1;
        // A base that failed for one target fails for every target that depends on it.
        targets
            .retain(|target| !self.outcome.failures.iter().any(|failure| self.is_affected(target, failure)));
        while !targets.is_empty() {
            let (failure, steps) = self.once(&targets)?;
            self.outcome.steps.extend(steps);
            let Some(failure) = failure else {
                other_builders::fetch(self.plan, &targets, self.context)?;
                if let Some(file) = &self.options.bake.metadata {
                    let digests = Docker::pushed_digests(&files::read(file)?);
                    self.outcome.digests.extend(digests.context("unexpected metadata from bake")?);
                }
                self.outcome.built.append(&mut targets);
                return Ok(());
            };
            if is_overload(&failure.error) && targets.len() > 1 {
                return self.halves(targets);
            }
            if (failure.class.is_transient() || is_overload(&failure.error)) && attempt < ATTEMPTS {
                self.context.terminal.warn(format!(
                    "{} error: {}; retry {attempt} of {}",
                    failure.class.name(),
                    self.context.docker.runner.secrets.mask(&failure.error),
                    ATTEMPTS - 1
                ));
                let interrupt = &self.context.docker.runner.interrupt;
                wait::pause(Duration::from_secs(u64::from(attempt) * 2), interrupt)?;
                attempt += 1;
                continue;
            }
            let left: Vec<String> =
                targets.iter().filter(|target| !self.is_affected(target, &failure)).cloned().collect();
            let narrowed = left.len() < targets.len();
            self.outcome.failures.push(failure);
            if !self.options.keep_going || !narrowed {
                return Ok(());
            }
            targets = left;
            attempt = 1;
        }
        Ok(())
    }

    /// Bakes the targets in two halves: together they overloaded this machine.
    fn halves(&mut self, mut targets: Vec<String>) -> Result<()> {
        let others = targets.split_off(targets.len() / 2);
        self.add(targets)?;
        if self.must_stop() { Ok(()) } else { self.add(others) }
    }

    /// Runs bake once and returns its failure, if any, and the finished steps.
    fn once(&self, targets: &[String]) -> Result<(Option<BuildFailure>, Vec<StepTiming>)> {
        let (docker, repository) = (&self.context.docker, &self.context.repository);
        let names: Vec<String> = self.plan.definition.target.keys().cloned().collect();
        let secrets = docker.runner.secrets.clone();
        let mut progress = Progress::new(&self.context.terminal, &repository.logs(), &names, secrets)?;
        let all = self.plan.with_dependencies(targets);
        let mut stream = Stream::of(&all);
        let (mut failed, mut steps) = (None::<FailedStep>, Vec::new());
        // Rebuild shared bases only once per run.
        let built = self.plan.with_dependencies(&self.outcome.built);
        let is_fresh = |target: &&String| self.options.no_cache || self.plan.fresh.contains(*target);
        let fresh = all.difference(&built).filter(is_fresh);
        let cmd = docker.bake(&repository.bake_definition(), targets, fresh, &self.options.bake);
        let status = self.additions.apply(cmd).stream(|chunk| {
            for event in stream.push(chunk) {
                progress.handle(&event);
                steps.extend(StepTiming::of(&event, &docker.runner.secrets));
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
            return Ok((None, steps));
        }
        let text = stream.text();
        let mut failure = BuildFailure::new(failed, &text, &all, self.plan, repository);
        platform_fault::explain(&mut failure, self.plan, self.context)?;
        if failed_instruction(&text).is_none() {
            // No instruction failed, so the builder may be broken.
            require_builder(&failure.error, self.context)?;
        }
        Ok((Some(failure), steps))
    }
}
