//! Trying images: raise their stack, look how its containers run, ask what the manifest declares, remove it.

use host::failure::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::parity::record::{Original, Record};
use crate::probes;
use crate::probes::report::{Outcome, Report};
use crate::probes::run::{Done, Group};
use crate::throwaway::stack_tests::StackTests;
use crate::throwaway::{Images, Trial, confinement};
use build::sources;
use engine::context::Context;
use engine::labels;
use engine::socket::Socket;
use model::edition::Edition;
use model::manifest::{Manifest, Service};

/// What images came to.
#[derive(Debug)]
pub struct Tried<'m> {
    /// Every outcome, how containers run before what they answer.
    pub report: Report,
    /// The probes with their answers.
    pub done: Vec<Done<'m>>,
    /// By the manifest's names: a service and all that it depends on.
    parts: BTreeMap<String, BTreeSet<String>>,
}

/// Tries these services' images, and what they depend on; with a socket of the engine for them also by the declared test
/// programs, whose images are there. Nothing stays behind.
///
/// # Errors
/// When the stack does not get healthy, or docker cannot be asked. Wrong answers are in the report.
pub fn run<'m>(
    manifest: &'m Manifest,
    services: &[&'m Service],
    images: &Images,
    deadline: Duration,
    stack_tests: Option<&Socket>,
    context: &Context,
) -> Result<Tried<'m>> {
    let what = format!("{} images, edition {}", images.variant, images.edition);
    context.terminal.say(format!("raise a stack of {what} …"));
    let trial = Trial::raise(manifest, services, images, deadline, context)?;
    context.terminal.say(format!("ask the stack of {what} …"));
    let confined = confinement::look(services, trial.project(), &context.docker)?;
    let inquiry = probes::inquiry(manifest, services);
    let (mut report, done) = probes::ask(&inquiry, trial.project(), &trial.known, deadline, context)?;
    report.outcomes.splice(0..0, confined);
    if let Some(socket) = stack_tests {
        let run = StackTests { manifest, variant: images.variant, trial: &trial, socket, context };
        report.outcomes.extend(run.all()?);
    }
    let parts = crate::throwaway::parts(manifest, context)?;
    trial.remove()?;
    if context.docker.runner.interrupt.is_set() {
        // What is removed meanwhile goes to its end first.
        return Err(Failure::interrupted().into());
    }
    Ok(Tried { report, done, parts })
}

impl Tried<'_> {
    /// The services that have a part in a group: of a service it and its dependencies, of a scenario all.
    pub fn parts(&self, group: &str) -> Vec<String> {
        match self.parts.get(group) {
            Some(parts) => parts.iter().cloned().collect(),
            None => self.parts.keys().cloned().collect(),
        }
    }

    /// The originals that have a part in a group, as a record names them.
    fn originals(
        &self,
        group: &Group<'_>,
        manifest: &Manifest,
        context: &Context,
    ) -> Result<BTreeMap<String, Original>> {
        let parts = self.parts(&group.name);
        let mut originals = BTreeMap::new();
        for service in manifest.services.iter().filter(|service| parts.contains(&service.name)) {
            let id = self.report.images.get(&service.name).cloned().unwrap_or_default();
            let sources = sources::hash(&service.original, &context.repository)?;
            let built_from = context.docker.inspect(std::slice::from_ref(&id))?;
            let built_from =
                built_from.get(&id).and_then(|image| image.label(&labels::sources(&manifest.project)));
            if built_from != Some(sources.as_str()) {
                bail!(
                    "the original of {0} that runs was built from other sources than stand here: `cargo xtask build-images {0} --variant original`, then record again",
                    service.name
                );
            }
            originals.insert(service.name.clone(), Original { image: id, sources });
        }
        Ok(originals)
    }

    /// Records what these originals answered, group by group. A group of which a probe did not pass is left as it was.
    ///
    /// # Errors
    /// When an original was not built from the sources that stand here, or a record cannot be written.
    pub fn record(
        &self,
        manifest: &Manifest,
        groups: &[Group<'_>],
        edition: Edition,
        context: &Context,
    ) -> Result<()> {
        let mut records = Vec::new();
        for group in groups {
            let mut of_group = self.report.outcomes.iter().filter(|outcome| outcome.group == group.name);
            if !of_group.all(Outcome::passed) {
                let name = &group.name;
                context
                    .terminal
                    .warn(format!("{name} is not recorded: the original did not pass its probes"));
                continue;
            }
            let originals = self.originals(group, manifest, context)?;
            records.push(Record::new(edition, group, originals, &self.done));
        }
        // All can be made, or none is written.
        records.iter().try_for_each(|record| record.write(&context.repository))
    }
}
