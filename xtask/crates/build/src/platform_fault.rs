//! Failures of builds for a platform: the engine cannot run its programs, or a base has no image for it that the builder can get.

use anyhow::Result;

use crate::failure::BuildFailure;
use crate::fingerprint;
use crate::plan::BuildPlan;
use engine::context::Context;
use engine::emulation;
use host::failure::FailureClass;
use model::image_ref::repository_of;
use model::platform::Platform;

/// The kernel's answer to a program for another architecture (`execve(2)`, ENOEXEC), as the container runtime and shells print it.
const WRONG_ARCHITECTURE: &str = "exec format error";

/// BuildKit's error when an index has no image for the platform (containerd, `images/image.go`).
const NO_IMAGE: &str = "no match for platform in manifest";

/// BuildKit's error when it cannot get an image's metadata from a registry.
const UNRESOLVED: &str = "failed to resolve source metadata for";

/// Explains a failure that is due to the platform of its target.
///
/// # Errors
/// When docker cannot be started.
pub(crate) fn explain(failure: &mut BuildFailure, plan: &BuildPlan, context: &Context) -> Result<()> {
    let targets = failure.targets.iter().filter_map(|name| plan.definition.target.get(name));
    let Some(platform) = targets.flat_map(|target| &target.platforms).next() else { return Ok(()) };
    let Ok(platform) = platform.parse::<Platform>() else { return Ok(()) };
    let text = format!("{}\n{}", failure.error, failure.tail.join("\n"));
    if text.to_lowercase().contains(WRONG_ARCHITECTURE) {
        let runs = context.docker.builder_platforms()?;
        if runs.iter().any(|one| one.is_wanted(&platform)) {
            failure.remedy = Some(format!(
                "the failed program was built for another architecture; install its {platform} version"
            ));
        } else {
            failure.class = FailureClass::Machine;
            failure.remedy = Some(emulation::remedy(&[platform]));
        }
    } else if text.contains(NO_IMAGE) {
        failure.remedy = Some(format!(
            "start from an image that its registry has for {platform}, or remove {platform} from `platforms`"
        ));
    } else if let Some(reference) = unresolved(&text, plan)
        && let Some(image) = context.docker.look(&reference)?
    {
        if !image.platform().is_wanted(&platform) {
            failure.remedy = Some(format!(
                "the engine has {reference} only for {}: make its registry reachable, with an image for {platform}",
                image.platform()
            ));
        } else if !context.docker.builder.is_engines_own() {
            failure.remedy = Some(format!(
                "this builder does not use the engine's images: push {reference} to a registry that the builder \
                 can reach, declare it as [base.NAME], or use the engine's own builder (--builder default)"
            ));
        }
    }
    Ok(())
}

/// The image that could not be resolved, as the plan names it. BuildKit prints its full name.
fn unresolved(text: &str, plan: &BuildPlan) -> Option<String> {
    let (_, rest) = text.split_once(UNRESOLVED)?;
    let name = rest.split_whitespace().next()?.trim_end_matches(':');
    let is_it = |image: &String| {
        let ends = |with: &str| name.ends_with(&format!("/{with}")) || name == with;
        ends(image) || (repository_of(image) == image && ends(&format!("{image}:latest")))
    };
    fingerprint::images(plan).into_iter().find(is_it)
}
