//! Tests one stack: starts it, checks its containers, sends the probes, and removes it.

use host::program::PROGRAM;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::parity::record::{ParityRecord, RecordedOriginal};
use crate::probes;
use crate::probes::documents;
use crate::probes::plan::{ProbeGroup, ProbePlan};
use crate::probes::report::{ProbeOutcome, ProbeReport};
use crate::probes::run::ProbeResult;
use crate::probes::secrecy;
use crate::throwaway::confinement;
use crate::throwaway::images::StackImages;
use crate::throwaway::stack::{ThrowawayStack, dependency_closures};
use crate::throwaway::stack_tests::StackTests;
use build::sources;
use engine::context::Context;
use engine::labels;
use engine::socket::Socket;
use host::secrets::Secrets;
use model::edition::Edition;
use model::manifest::{Manifest, Service};

/// The results of a stack that is already removed.
#[derive(Debug)]
pub(super) struct TestedStack<'m> {
    pub(super) report: ProbeReport,
    /// The probes with their answers.
    pub(super) results: Vec<ProbeResult<'m>>,
    /// The stack's own secrets.
    pub(super) secrets: Secrets,
    /// Each service with all its dependencies, by names in the manifest.
    closures: BTreeMap<String, BTreeSet<String>>,
}

/// Tests these services and their dependencies; with the engine's socket also runs the declared stack tests, whose images
/// must exist. Nothing is left behind. Wrong answers are in the report.
pub(super) fn test<'m>(
    manifest: &'m Manifest,
    services: &[&'m Service],
    images: &StackImages,
    deadline: Duration,
    stack_tests: Option<&Socket>,
    context: &Context,
) -> Result<TestedStack<'m>> {
    let variant = if manifest.has_twins() { format!("{} ", images.variant) } else { String::new() };
    let edition = images.edition;
    let edition = if edition.is_none() { String::new() } else { format!(", edition {edition}") };
    let label = format!("{variant}images{edition}");
    context.terminal.say(format!("starting a stack of {label} …"));
    let stack = ThrowawayStack::start(manifest, services, images, deadline, context)?;
    context.terminal.say(format!("probing the stack of {label} …"));
    let confinement = confinement::check(services, stack.project(), &context.docker)?;
    let plan = ProbePlan::new(manifest, services, Some(images.edition));
    let (mut report, results) = probes::run::run(&plan, stack.project(), &stack.values, deadline, context)?;
    report.outcomes.splice(0..0, confinement);
    report.routes = documents::coverage(services, &results, stack.project(), deadline, context)?;
    if let Some(socket) = stack_tests {
        let tests = StackTests { manifest, variant: images.variant, stack: &stack, socket, context };
        report.outcomes.extend(tests.run()?);
    }
    let closures = dependency_closures(manifest, context)?;
    let secrets = Secrets::default();
    secrecy::hide_values(&stack.values, &secrets);
    stack.remove()?;
    context.docker.runner.interrupt.check()?;
    Ok(TestedStack { report, results, secrets, closures })
}

impl TestedStack<'_> {
    /// The services behind a group: a service with its dependencies, or all services for a scenario.
    pub(super) fn services_of(&self, group: &str) -> Vec<String> {
        match self.closures.get(group) {
            Some(closure) => closure.iter().cloned().collect(),
            None => self.closures.keys().cloned().collect(),
        }
    }

    fn originals(
        &self,
        group: &ProbeGroup<'_>,
        manifest: &Manifest,
        context: &Context,
    ) -> Result<BTreeMap<String, RecordedOriginal>> {
        let names = self.services_of(&group.name);
        let mut originals = BTreeMap::new();
        for service in manifest.services.iter().filter(|service| names.contains(&service.name)) {
            let id = self.report.images.get(&service.name).cloned().unwrap_or_default();
            let sources = sources::of_original(service, &context.repository)?;
            let images = context.docker.inspect(std::slice::from_ref(&id))?;
            let label = images.get(&id).and_then(|image| image.label(&labels::sources(&manifest.project)));
            if label != Some(sources.as_str()) {
                bail!(
                    "the original image of {0} was built from other sources\nhelp: run `{PROGRAM} build-images {0} --variant original`, then record again",
                    service.name
                );
            }
            originals.insert(service.name.clone(), RecordedOriginal { image: id, sources });
        }
        Ok(originals)
    }

    /// Records the answers of these originals. Groups with a failed probe keep their old record. Fails if an original was not
    /// built from the current sources.
    pub(super) fn record(
        &self,
        manifest: &Manifest,
        groups: &[ProbeGroup<'_>],
        edition: Edition,
        context: &Context,
    ) -> Result<()> {
        let mut records = Vec::new();
        for group in groups {
            let mut outcomes = self.report.outcomes.iter().filter(|outcome| outcome.group == group.name);
            if !outcomes.all(ProbeOutcome::passed) {
                let name = &group.name;
                context.terminal.warn(format!("{name} was not recorded: the original failed its probes"));
                continue;
            }
            let originals = self.originals(group, manifest, context)?;
            records.push(ParityRecord::new(edition, group, originals, &self.results, &self.secrets));
        }
        // Only after all could be made.
        records.iter().try_for_each(|record| record.write(&context.repository))
    }
}
