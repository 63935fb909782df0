//! Probes of a stack's services, sent from a container on its networks.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;

use crate::probes::endpoints::Endpoints;
use crate::probes::health;
use crate::probes::plan::{ProbePlan, unique_word, values};
use crate::probes::report::{ProbeReport, SCHEMA};
use crate::probes::run;
use crate::swarm::overlay::{Forwarder, OverlayContainer};
use crate::swarm::plan::{Expected, SwarmPlan};
use engine::context::Context;
use engine::variables::Variables;
use model::manifest::{Manifest, Service};

/// How long a service may take to answer on its health path.
const HEALTH: Duration = Duration::from_secs(30);
/// After this time, the container exits even if it could not be removed.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Sends the probes of all services that the stack runs from a container on the current engine. `None` if the manifest declares no probes
/// or health paths.
///
/// # Errors
/// When the container cannot be started, or the user interrupts. Failed probes are in the report.
pub fn run(
    plan: &SwarmPlan,
    manifest: &Manifest,
    variables: &Variables,
    context: &Context,
) -> Result<Option<ProbeReport>> {
    let planned = |service: &Service| plan.services.get(service.compose.as_deref()?);
    let is_planned = |service: &&Service| {
        planned(service)
            .is_some_and(|planned| matches!(planned.expected, Expected::Running(_) | Expected::EveryNode))
    };
    let services: Vec<&Service> = manifest.services.iter().filter(is_planned).collect();
    let probes = ProbePlan::new(manifest, &services, None);
    if probes.groups.is_empty() && services.iter().all(|service| service.health.is_none()) {
        return Ok(None);
    }
    let networks: BTreeSet<&String> = services
        .iter()
        .filter_map(|service| planned(service))
        .flat_map(|planned| &planned.networks)
        .collect();
    let networks: Vec<String> = networks.into_iter().cloned().collect();
    let container = OverlayContainer::start(&plan.stack, &networks, LIFETIME, &context.docker)?;
    let mut forwarders: Vec<Forwarder> = Vec::new();
    let mut endpoints = Endpoints::new();
    for service in &services {
        let address = match (&service.compose, service.port) {
            (Some(compose), Some(port)) => {
                let forwarder = container.forward(compose, port)?;
                let address = forwarder.address().to_string();
                forwarders.push(forwarder);
                Ok(address)
            }
            _ => Err(format!("{} declares no port: add `port` to its table", service.name)),
        };
        endpoints.insert(service.name.clone(), address);
    }
    let values = values(manifest, variables, &unique_word());
    let runner = &context.docker.runner;
    let results = run::send_all(&probes, &endpoints, &values, runner)?;
    let health = health::of_paths(&probes, &endpoints, HEALTH, runner)?;
    let image = |service: &&Service| Some((service.name.clone(), planned(service)?.image.clone()));
    Ok(Some(ProbeReport {
        schema: SCHEMA,
        project: plan.stack.clone(),
        images: services.iter().filter_map(image).collect(),
        unprobed: probes.unprobed(&health),
        routes: Vec::new(),
        outcomes: results.into_iter().map(|result| result.outcome).chain(health).collect(),
    }))
}
