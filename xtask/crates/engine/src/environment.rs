//! The engine and Buildx that a command needs. Missing or old ones end with exit code 3.

use anyhow::Result;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;

use crate::bake_report::error_line;
use crate::context::Context;
use crate::facts::{Facts, LEAST_BUILDX, LEAST_ENGINE};
use crate::machine::Machine;
use crate::provision;

/// Makes sure that an engine answers; provisions one with `--with-engine`.
///
/// # Errors
/// [`Failure`], when there is none or it is too old.
pub fn require_engine(context: &Context) -> Result<()> {
    if context.with_engine {
        provide(&context.docker.facts()?, context)?;
    }
    match context.docker.engine_version() {
        Some(version) if version < LEAST_ENGINE => Err(Failure::new(
            FailureClass::Engine,
            format!("Docker Engine {version} is too old: {LEAST_ENGINE} or newer is needed"),
            "upgrade it manually; this program never replaces an existing engine",
        )
        .into()),
        Some(_) => Ok(()),
        None => Err(Failure::new(
            FailureClass::Engine,
            missing(&context.docker.facts()?),
            format!(
                "run the same command with --with-engine (Debian or Ubuntu, as root), or start Docker; \
                 `{PROGRAM} doctor` shows what is installed"
            ),
        )
        .into()),
    }
}

/// Installs and starts what is missing.
///
/// # Errors
/// [`Failure`], when something cannot be installed or started.
pub fn provide(facts: &Facts, context: &Context) -> Result<()> {
    let docker = &context.docker;
    let provided =
        Machine::detect(&docker.runner).and_then(|machine| provision::plan(facts, &machine)).and_then(
            |steps| provision::execute(&steps, docker, &context.repository.engine_log(), &context.terminal),
        );
    provided.map_err(Failure::of_machine)
}

/// Installs distribution packages.
///
/// # Errors
/// [`Failure`] when a package cannot be installed.
pub fn provide_packages(packages: &[&str], context: &Context) -> Result<()> {
    let docker = &context.docker;
    let steps = Machine::detect(&docker.runner).and_then(|machine| provision::install(&machine, packages));
    let log = context.repository.engine_log();
    steps
        .and_then(|steps| provision::execute(&steps, docker, &log, &context.terminal))
        .map_err(Failure::of_machine)
}

/// Makes sure that Buildx is installed and new enough. Called before a build with `--with-engine`, else only after a failed
/// build: it takes as long as a build without changes.
///
/// # Errors
/// [`Failure`], when it is missing or too old.
pub fn require_buildx(context: &Context) -> Result<()> {
    let found = context.docker.buildx_version()?;
    if found >= Some(LEAST_BUILDX) {
        return Ok(());
    }
    if context.with_engine {
        return provide(&context.docker.facts()?, context);
    }
    let what = match found {
        Some(version) => format!("Docker Buildx {version} is too old: {LEAST_BUILDX} or newer is needed"),
        None => format!("Docker has no Buildx plugin; {LEAST_BUILDX} or newer is needed"),
    };
    Err(Failure::new(
        FailureClass::Engine,
        what,
        "run the same command with --with-engine, or install your distribution's docker-buildx",
    )
    .into())
}

/// Checks whether a build failed because its builder does not work. `error` is the build's error message.
///
/// # Errors
/// [`Failure`], when the engine, Buildx or the builder does not work.
pub fn require_builder(error: &str, context: &Context) -> Result<()> {
    require_engine(context)?;
    require_buildx(context)?;
    let docker = &context.docker;
    match docker.builder_state()? {
        Ok(state) => match state.why_down() {
            Some(_) => Err(broken_builder(&state.name, error).into()),
            None => Ok(()),
        },
        // Only a named builder can be missing: without a name, Buildx falls back to the engine's own builder.
        Err(_) => match docker.builder.name() {
            Some(name) => Err(broken_builder(name, error).into()),
            None => Ok(()),
        },
    }
}

/// Checks before a build that a builder outside the engine can be reached. The engine's own builder is checked with the engine.
///
/// # Errors
/// [`Failure`] with Buildx's message, when the builder does not exist, or no node answers and a build would not start one.
pub fn require_reachable_builder(context: &Context) -> Result<()> {
    let docker = &context.docker;
    if docker.builder.is_engines_own() {
        return Ok(());
    }
    let (name, error) = match docker.builder_state()? {
        Ok(state) => match state.why_down().filter(|_| !state.starts_on_demand()) {
            Some(why) => (state.name, why),
            None => return Ok(()),
        },
        Err(message) => {
            require_buildx(context)?;
            let error = error_line(&message).unwrap_or_else(|| message.trim().to_owned());
            (docker.builder.name().unwrap_or("current").to_owned(), error)
        }
    };
    Err(broken_builder(&name, &error).into())
}

/// A builder that does not work. `error` is Buildx's message.
fn broken_builder(name: &str, error: &str) -> Failure {
    Failure::machine(
        format!("the builder `{name}` does not work: {error}"),
        format!(
            "choose another with --builder NAME or BUILDX_BUILDER (`docker buildx ls` lists them), or fix this one \
             (`docker buildx inspect --bootstrap {name}` shows whether it starts)"
        ),
    )
}

fn missing(facts: &Facts) -> String {
    match (&facts.client, &facts.silence) {
        (None, _) => format!("no `docker` on PATH; Docker Engine {LEAST_ENGINE} or newer is needed"),
        (Some(_), Some(silence)) => format!("no Docker Engine answers: {silence}"),
        (Some(_), None) => "no Docker Engine answers".to_owned(),
    }
}
