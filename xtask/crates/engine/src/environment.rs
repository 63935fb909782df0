//! What a command needs of its machine: an engine that answers and is new enough. Missing things end with exit code 3.

use anyhow::Result;
use host::failure::{Failure, FailureClass};

use crate::context::Context;
use crate::facts::{Facts, LEAST_BUILDX, LEAST_ENGINE};
use crate::machine::Machine;
use crate::provision;
use crate::version::Version;

/// Makes sure that an engine answers; provisions one where that was asked for.
///
/// # Errors
/// [`Failure`], when there is none and none was asked for or could be had.
pub fn require_engine(context: &Context) -> Result<()> {
    if context.with_engine {
        // Nothing is done where everything is there and new enough.
        provide(&context.docker.facts()?, context)?;
    }
    // One quick question settles the usual case.
    match context.docker.engine_version() {
        Some(version) if version < LEAST_ENGINE => Err(Failure::new(
            FailureClass::Engine,
            format!("Docker Engine is {version}, and {LEAST_ENGINE} or newer is needed"),
            "upgrade it by hand: it may serve others, so nothing here touches it",
        )
        .into()),
        Some(_) => Ok(()),
        None => Err(Failure::new(
            FailureClass::Engine,
            missing(&context.docker.facts()?),
            "run the same command with --with-engine (Debian or Ubuntu, as root), or start your engine; \
             `cargo xtask doctor` says what is there",
        )
        .into()),
    }
}

/// Installs and starts what is missing.
///
/// # Errors
/// [`Failure`], when this machine cannot be provisioned.
pub fn provide(facts: &Facts, context: &Context) -> Result<()> {
    let docker = &context.docker;
    let provided =
        Machine::detect(&docker.runner).and_then(|machine| provision::plan(facts, &machine)).and_then(
            |steps| provision::execute(&steps, docker, &context.repository.engine_log(), &context.terminal),
        );
    provided.map_err(Failure::of_machine)
}

/// Makes sure that Buildx is there and new enough. Asked before a build where it can be mended on the way, else after
/// one has failed: the question costs as much as a build that changes nothing.
///
/// # Errors
/// [`Failure`], with versions.
pub fn require_buildx(context: &Context) -> Result<()> {
    let buildx = context.docker.cmd(["buildx", "version"]).capture()?;
    let found = Version::find(&buildx.stdout).filter(|_| buildx.success());
    if found >= Some(LEAST_BUILDX) {
        return Ok(());
    }
    if context.with_engine {
        return provide(&context.docker.facts()?, context);
    }
    let what = match found {
        Some(version) => format!("Docker Buildx is {version}, and {LEAST_BUILDX} or newer is needed"),
        None => format!("Docker has no Buildx plugin, and {LEAST_BUILDX} or newer is needed"),
    };
    Err(Failure::new(
        FailureClass::Engine,
        what,
        "run the same command with --with-engine, or install your distribution's docker-buildx",
    )
    .into())
}

fn missing(facts: &Facts) -> String {
    match (&facts.client, &facts.silence) {
        (None, _) => format!("there is no `docker` on PATH; Docker Engine {LEAST_ENGINE} or newer is needed"),
        (Some(_), Some(silence)) => format!("no Docker Engine answers: {silence}"),
        (Some(_), None) => "no Docker Engine answers".to_owned(),
    }
}
