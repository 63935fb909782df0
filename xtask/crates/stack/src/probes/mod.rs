//! Asking the services of a running stack what the manifest declares, and judging what comes back.

pub mod endpoints;
pub mod patience;
pub mod report;
pub mod run;
pub mod text;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde_json::Value;

use crate::deploy;
use crate::probes::report::Report;
use crate::probes::run::{Done, Group, Run};
use engine::compose::Project;
use engine::context::Context;
use engine::docker::Docker;
use engine::variables::Variables;
use model::manifest::{Manifest, Service};
use model::placeholders::{RUN, Values};

/// What is asked of whom.
#[derive(Debug)]
pub struct Inquiry<'m> {
    /// What declares them.
    pub manifest: &'m Manifest,
    /// The services that must be there.
    pub services: Vec<&'m Service>,
    /// Their probes, and the scenarios.
    pub groups: Vec<Group<'m>>,
}

/// The probes of these services; the scenarios too, where they are all that there are.
pub fn inquiry<'m>(manifest: &'m Manifest, services: &[&'m Service]) -> Inquiry<'m> {
    let of_service =
        |service: &&'m Service| Group { name: service.name.clone(), probes: service.probes.iter().collect() };
    let scenarios =
        if services.len() == manifest.services.len() { manifest.scenarios.as_slice() } else { &[] };
    let scenarios = scenarios
        .iter()
        .map(|scenario| Group { name: scenario.name.clone(), probes: scenario.steps.iter().collect() });
    let groups = services.iter().map(of_service).chain(scenarios).filter(|group| !group.probes.is_empty());
    Inquiry { manifest, services: services.to_vec(), groups: groups.collect() }
}

/// What probes know from the start: the plain secrets, as far as they are set, and the run's own word.
pub fn known(manifest: &Manifest, variables: &Variables, word: &str) -> Values {
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let set =
        secrets.filter_map(|secret| Some((secret.plain.clone(), Value::from(variables.get(&secret.plain)?))));
    set.chain([(RUN.to_owned(), Value::from(word))]).collect()
}

/// Asks, once no service is starting any more; `starting` bounds that wait.
///
/// # Errors
/// When docker cannot be asked, or the person interrupts. Wrong answers are outcomes.
pub fn ask<'m>(
    inquiry: &Inquiry<'m>,
    project: &Project,
    known: &Values,
    starting: Duration,
    context: &Context,
) -> Result<(Report, Vec<Done<'m>>)> {
    let interrupt = &context.docker.runner.interrupt;
    let doors = endpoints::open(project, &inquiry.services, starting, interrupt)?;
    let run = Run { doors: &doors, known, interrupt };
    let done = run.all(&inquiry.groups)?;
    let report = Report {
        schema: report::SCHEMA,
        project: project.name()?,
        images: images(project, inquiry.manifest, &context.docker)?,
        outcomes: done.iter().map(|done| done.outcome.clone()).collect(),
    };
    Ok((report, done))
}

/// The image IDs that the containers of all services run, as far as there are any.
fn images(project: &Project, manifest: &Manifest, docker: &Docker) -> Result<BTreeMap<String, String>> {
    let containers = deploy::containers(project, manifest, docker)?;
    Ok(containers.into_iter().map(|(name, found)| (name.to_owned(), found.image)).collect())
}

/// A word that no other run has: letters and digits, so that every tokenizer takes it as one.
pub fn word() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("run{:x}{:x}", now.as_nanos(), std::process::id())
}
