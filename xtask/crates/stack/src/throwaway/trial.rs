//! Trials of one service's image: replaces it in a throwaway stack, runs the probes, and compares the answers with the untouched image.

use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::deploy::not_healthy::NotHealthy;
use crate::deploy::secrets::NotGenerated;
use crate::parity::answers::OriginalAnswers;
use crate::probes;
use crate::probes::coverage::RouteCoverage;
use crate::probes::documents;
use crate::probes::plan::{ProbeGroup, ProbePlan};
use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use crate::probes::secrecy;
use crate::throwaway::images::StackImages;
use crate::throwaway::stack::ThrowawayStack;
use engine::context::Context;
use host::failure::{Failure, FailureClass, class_of};
use host::program::PROGRAM;
use host::secrets::Secrets;
use model::edition::Edition;
use model::manifest::{Manifest, Service, StackSource};
use model::probe::Scenario;

/// What each trial of an image does.
#[derive(Debug)]
pub struct TrialPlan<'m> {
    manifest: &'m Manifest,
    service: &'m Service,
    images: StackImages,
    deadline: Duration,
    plan: ProbePlan<'m>,
    /// Scenarios that call the service but cannot run, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// The answers of the untouched image.
#[derive(Debug)]
pub struct UntouchedAnswers {
    answers: OriginalAnswers,
    /// How much of its OpenAPI document the probes exercise; `None` without a document.
    pub routes: Option<RouteCoverage>,
}

/// What failed in a trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialFailure {
    /// The service or scenario; empty if the stack did not become healthy.
    pub group: String,
    /// The probe; `start` if the stack did not become healthy.
    pub probe: String,
    /// The failure, in one line.
    pub what: String,
}

impl TrialFailure {
    /// `GROUP · PROBE`, or `start`.
    pub fn name(&self) -> String {
        if self.group.is_empty() { self.probe.clone() } else { format!("{} · {}", self.group, self.probe) }
    }
}

impl<'m> TrialPlan<'m> {
    /// The probes of a service, and the scenarios that call it. `images`: the images of the other services.
    ///
    /// # Errors
    /// When docker fails.
    pub fn new(
        manifest: &'m Manifest,
        service: &'m Service,
        images: StackImages,
        deadline: Duration,
        context: &Context,
    ) -> Result<TrialPlan<'m>> {
        let own = ProbeGroup::new(&service.name, &service.probes, Some(images.edition));
        let (mut groups, mut left_out) = (vec![own], Vec::new());
        let mut services = vec![service];
        let scenarios = asking(manifest, service, images.edition);
        if !scenarios.is_empty() {
            // A scenario needs the whole stack, as in `test`.
            let others = manifest.services.iter().filter(|other| other.name != service.name);
            let needed: Vec<String> = others.map(|other| images.of(other)).collect();
            let found = context.docker.inspect(&needed)?;
            let missing = needed.iter().find(|image| !found.contains_key(*image));
            if missing.is_none() {
                services = manifest.services.iter().collect();
            }
            for scenario in scenarios {
                let group = ProbeGroup::new(&scenario.name, &scenario.steps, Some(images.edition));
                match missing {
                    Some(missing) => left_out.push((group.name, format!("image not found: {missing}"))),
                    None => groups.push(group),
                }
            }
        }
        groups.retain(|group| !group.probes.is_empty());
        if !groups.iter().flat_map(|group| &group.probes).any(|probe| probe.service == service.name) {
            return Err(unasked(service).into());
        }
        let plan = ProbePlan { manifest, services, groups };
        Ok(TrialPlan { manifest, service, images, deadline, plan, left_out })
    }

    /// The names of the groups and the number of their probes.
    pub fn groups(&self) -> Vec<(String, usize)> {
        self.plan.groups.iter().map(|group| (group.name.clone(), group.probes.len())).collect()
    }

    /// The probes of every trial.
    pub fn probes(&self) -> &ProbePlan<'m> {
        &self.plan
    }

    /// The services that every trial starts, with their dependencies.
    pub fn started(&self) -> &[&'m Service] {
        &self.plan.services
    }

    /// The images of a trial with this image.
    pub fn images(&self, image: &str) -> StackImages {
        StackImages { replaced: Some((self.service.name.clone(), image.to_owned())), ..self.images.clone() }
    }

    /// The answers of the untouched image, from two runs.
    ///
    /// # Errors
    /// When a probe fails, or its answers differ between the runs: trials would prove nothing.
    pub fn untouched(&self, image: &str, context: &Context) -> Result<UntouchedAnswers> {
        let first = self.ask(image, None, context)?;
        if let Some(failure) = first.failures.first() {
            let what = format!("the untouched image fails {}: {}", failure.name(), failure.what);
            let remedy = match &self.manifest.stack {
                StackSource::Repository => format!("make `{PROGRAM} test {}` pass first", self.service.name),
                _ => "fix the requests, the command or the Compose file".to_owned(),
            };
            return Err(Failure::new(FailureClass::Failed, what, remedy).into());
        }
        let second = self.ask(image, Some(&first.answers), context)?;
        match second.failures.first() {
            Some(failure) => Err(flaky(failure)),
            None => Ok(first.answers),
        }
    }

    /// The failures of another image; none if its answers match the untouched image. A second stack confirms failures.
    ///
    /// # Errors
    /// When a probe fails in only one of the two stacks, docker fails, or the user interrupts.
    pub fn failures(
        &self,
        image: &str,
        untouched: &UntouchedAnswers,
        context: &Context,
    ) -> Result<Vec<TrialFailure>> {
        let first = self.ask(image, Some(untouched), context)?.failures;
        if first.is_empty() {
            return Ok(first);
        }
        let second = self.ask(image, Some(untouched), context)?.failures;
        match difference(&first, &second) {
            Some(failure) => Err(flaky(failure)),
            None => Ok(first),
        }
    }

    fn ask(&self, image: &str, untouched: Option<&UntouchedAnswers>, context: &Context) -> Result<Asked> {
        let images = self.images(image);
        let started =
            ThrowawayStack::start(self.manifest, &self.plan.services, &images, self.deadline, context);
        let stack = match started {
            Ok(stack) => stack,
            Err(error) => {
                context.docker.runner.interrupt.check()?;
                let what = context.docker.runner.secrets.mask(&not_started(error, image)?);
                // A command that fails may end before or after its start is noticed: both are one failure.
                let (group, probe) = match (self.service.runs_once, self.service.probes.first()) {
                    (true, Some(probe)) => (self.service.name.clone(), probe.name.clone()),
                    _ => (String::new(), "start".to_owned()),
                };
                let failure = TrialFailure { group, probe, what };
                let answers = UntouchedAnswers { answers: OriginalAnswers::default(), routes: None };
                return Ok(Asked { failures: vec![failure], answers });
            }
        };
        let (report, results) =
            probes::run::run(&self.plan, stack.project(), &stack.values, self.deadline, context)?;
        let routes = match untouched {
            None => documents::coverage(&[self.service], &results, stack.project(), self.deadline, context)?,
            Some(_) => Vec::new(),
        };
        let own = Secrets::default();
        secrecy::hide_values(&stack.values, &own);
        stack.remove()?;
        let mut failures: Vec<TrialFailure> = report.outcomes.iter().filter_map(failure).collect();
        if let Some(untouched) = untouched {
            let outcomes = untouched.answers.compare(&results, &own, &context.docker.runner.secrets);
            let is_new = |one: &TrialFailure| !failures.iter().any(|known| known.name() == one.name());
            let differ: Vec<_> = outcomes.iter().filter_map(failure).filter(is_new).collect();
            failures.extend(differ);
        }
        let answers = UntouchedAnswers {
            answers: OriginalAnswers::live(&results, &own),
            routes: routes.into_iter().next(),
        };
        Ok(Asked { failures, answers })
    }
}

/// Refuses a service that neither a probe nor a scenario calls in an edition.
///
/// # Errors
/// When nothing calls it.
pub fn refuse_unasked(manifest: &Manifest, service: &Service, edition: Edition) -> Result<(), Failure> {
    let is_probed = service.probes.iter().any(|probe| probe.is_for(Some(edition)));
    if is_probed || !asking(manifest, service, edition).is_empty() {
        return Ok(());
    }
    Err(unasked(service))
}

fn unasked(service: &Service) -> Failure {
    let what = format!("{} has no probe: cannot tell which files it needs", service.name);
    Failure::new(FailureClass::Failed, what, "declare [[service.NAME.probe]] in the manifest")
}

/// The scenarios that call a service in an edition.
fn asking<'m>(manifest: &'m Manifest, service: &Service, edition: Edition) -> Vec<&'m Scenario> {
    let asks = |scenario: &&Scenario| {
        let mut steps = scenario.steps.iter();
        steps.any(|step| step.service == service.name && step.is_for(Some(edition)))
    };
    manifest.scenarios.iter().filter(asks).collect()
}

struct Asked {
    failures: Vec<TrialFailure>,
    answers: UntouchedAnswers,
}

/// Why a stack with this image did not start, in one line; other errors are passed on.
fn not_started(error: anyhow::Error, image: &str) -> Result<String> {
    match error.downcast_ref::<NotGenerated>() {
        // The trial image lacks what the service's own command needs; an engine that fails is not the image's fault.
        Some(failed) if failed.image == image && class_of(&error) == FailureClass::Failed => {
            let cause = error.root_cause().to_string();
            // The last line is docker's or our own advice.
            let is_advice = |line: &str| line.starts_with("help: ") || line.starts_with("Run 'docker");
            let line = cause.lines().map(str::trim).rfind(|line| !is_advice(line) && !line.is_empty());
            Ok(format!("{failed}: {}", line.unwrap_or_default()))
        }
        _ => Ok(error.downcast::<NotHealthy>()?.summary()),
    }
}

fn failure(outcome: &ProbeOutcome) -> Option<TrialFailure> {
    let what = match &outcome.verdict {
        ProbeVerdict::Passed => return None,
        ProbeVerdict::Failed { wrong, .. } => wrong.first().cloned().unwrap_or_default(),
        ProbeVerdict::Skipped { reason } => reason.clone(),
    };
    let what = what.lines().next().unwrap_or_default().to_owned();
    Some(TrialFailure { group: outcome.group.clone(), probe: outcome.probe.clone(), what })
}

/// A probe that failed in only one of two runs.
fn difference<'f>(first: &'f [TrialFailure], second: &'f [TrialFailure]) -> Option<&'f TrialFailure> {
    let only = |of: &'f [TrialFailure], other: &[TrialFailure]| {
        of.iter().find(|one| !other.iter().any(|two| two.name() == one.name()))
    };
    only(first, second).or_else(|| only(second, first))
}

fn flaky(failure: &TrialFailure) -> anyhow::Error {
    let what = format!(
        "flaky: {} failed in one of two stacks of the same image, so no trial can be trusted: {}",
        failure.name(),
        failure.what
    );
    let remedy =
        "make the probe give the same verdict every time, for instance with `eventually` or parity rules";
    Failure::new(FailureClass::Failed, what, remedy).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_its_own_command_does_not_start() {
        let error = |cause: anyhow::Error, image: &str| {
            let failed = NotGenerated { variable: "KEYS".to_owned(), image: image.to_owned() };
            cause.context(failed)
        };
        let cause = || {
            anyhow::anyhow!(
                "`docker run` failed\n    exec: \"python\" not found\n    Run 'docker run --help'"
            )
        };
        assert_eq!(
            not_started(error(cause(), "trial"), "trial").unwrap(),
            "cannot generate KEYS: exec: \"python\" not found"
        );
        // Neither another image's command nor the engine says anything about the trial's image.
        assert!(not_started(error(cause(), "other"), "trial").is_err());
        let engine = Failure::new(FailureClass::Engine, "no engine", "start it");
        assert!(not_started(error(engine.into(), "trial"), "trial").is_err());
    }

    #[test]
    fn a_verdict_that_changes_is_flaky() {
        let of = |names: &[&str]| -> Vec<TrialFailure> {
            let one = |name: &&str| TrialFailure {
                group: "g".into(),
                probe: (*name).into(),
                what: "differs each time".into(),
            };
            names.iter().map(one).collect()
        };
        let changed = |first: &[&str], second: &[&str]| {
            difference(&of(first), &of(second)).map(|failure| failure.probe.clone())
        };
        assert_eq!(changed(&["a", "b"], &["b", "a"]), None);
        assert_eq!(changed(&["a"], &[]).as_deref(), Some("a"));
        assert_eq!(changed(&["a"], &["a", "b"]).as_deref(), Some("b"));
    }
}
