//! Tests services without probes by their health checks, from the image or the Compose file.

use std::time::Instant;

use anyhow::Result;

use crate::probes::plan::ProbePlan;
use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use engine::compose::{ComposeContainer, Project};
use host::secrets::Secrets;

/// The name of the outcome.
pub(crate) const NAME: &str = "health check";

/// One outcome for each service without probes whose container has a health check.
///
/// # Errors
/// When docker fails.
pub(crate) fn outcomes(
    plan: &ProbePlan<'_>,
    project: &Project,
    secrets: &Secrets,
) -> Result<Vec<ProbeOutcome>> {
    let silent: Vec<_> = plan.services.iter().filter(|service| service.probes.is_empty()).collect();
    if silent.is_empty() {
        return Ok(Vec::new());
    }
    let (started, containers) = (Instant::now(), project.containers()?);
    let outcome = |name: &str, container: &ComposeContainer| {
        Some(ProbeOutcome::new(name, NAME, verdict(container)?, started, 0, secrets))
    };
    let found = silent.into_iter().filter_map(|service| {
        let container =
            containers.iter().find(|container| Some(&container.service) == service.compose.as_ref())?;
        outcome(&service.name, container)
    });
    Ok(found.collect())
}

/// `None` without a health check.
fn verdict(container: &ComposeContainer) -> Option<ProbeVerdict> {
    match container.health.as_str() {
        "" => None,
        "healthy" => Some(ProbeVerdict::Passed),
        health => Some(ProbeVerdict::Failed {
            wrong: vec![format!("the container is {health} ({})", container.state)],
            request: String::new(),
            answer: String::new(),
        }),
    }
}
