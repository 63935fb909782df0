//! Builds on a builder that is not the engine's own: its images must match this engine's platform and be copied to it.

use anyhow::{Context as _, Result};

use crate::plan::BuildPlan;
use crate::publish::run_tags;
use engine::context::Context;

/// The output setting for images that are stored in the engine.
pub(crate) const ENGINE: &str = "type=docker";

/// Builds for the engine's platform if a plan names none: the builder's platform may be different.
///
/// # Errors
/// When the engine does not answer.
pub(crate) fn set_platform(plan: &mut BuildPlan, context: &Context) -> Result<()> {
    if context.docker.builder.is_engines_own() {
        return Ok(());
    }
    let own = context.docker.platform()?.to_string();
    let targets = plan.definition.target.values_mut();
    targets
        .filter(|target| target.platforms.is_empty())
        .for_each(|target| target.platforms.push(own.clone()));
    Ok(())
}

/// Copies images to this engine from the engine that built them. Other builders store no images: Buildx has already loaded the results.
///
/// # Errors
/// When docker fails, or the user interrupts.
pub(crate) fn fetch(plan: &BuildPlan, targets: &[String], context: &Context) -> Result<()> {
    let Some(other) = context.docker.other_engine() else { return Ok(()) };
    let tags = stored_tags(plan, targets);
    if tags.is_empty() {
        return Ok(());
    }
    let save = other.cmd(["image", "save"]).args(tags);
    let copied = save.pipe_into(&context.docker.cmd(["image", "load", "--quiet"]));
    context.docker.runner.interrupt.check()?;
    copied.context("cannot copy the built images from the builder's engine to this one")
}

/// Removes a plan's tags from the engine that built them, including tags left there by a failed bake.
///
/// # Errors
/// When docker fails.
pub(crate) fn tidy(plan: &BuildPlan, context: &Context) -> Result<()> {
    let Some(other) = context.docker.other_engine() else { return Ok(()) };
    other.remove_unused(&stored_tags(plan, plan.requested())).map(drop)
}

/// Removes the temporary tags left by killed runs on the engine that builds.
///
/// # Errors
/// When docker fails.
pub(crate) fn recover(project: &str, context: &Context) -> Result<()> {
    let Some(other) = context.docker.other_engine() else { return Ok(()) };
    other.remove_unused(&run_tags::left(project, &other)?).map(drop)
}

fn stored_tags(plan: &BuildPlan, targets: &[String]) -> Vec<String> {
    let targets = targets.iter().filter_map(|name| plan.definition.target.get(name));
    let stored = targets.filter(|target| target.output.iter().any(|output| output == ENGINE));
    stored.flat_map(|target| target.tags.iter().cloned()).collect()
}
