//! A whole `test` run: all requested stacks, and parity of optimized images with the originals.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::parity::answers::OriginalAnswers;
use crate::parity::record;
use crate::probes::plan::ProbePlan;
use crate::probes::report::{ParityReport, ProbeReport, SCHEMA, StackReport, TestReport};
use crate::throwaway::images::StackImages;
use crate::throwaway::tested::{self, TestedStack};
use build::bases::BasesMode;
use build::builds;
use engine::context::Context;
use engine::records::{self, RecordKind};
use engine::socket::Socket;
use host::failure::{Failure, FailureClass};
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// What optimized images are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Originals {
    /// Running originals.
    Live {
        /// Whether to record their answers.
        record: bool,
    },
    /// Recorded answers.
    Recorded,
}

/// What to test.
#[derive(Debug, Clone)]
pub struct TestRequest<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The edition of all images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: Tag,
    /// The variants; ignored if `parity` is set.
    pub variants: Vec<Variant>,
    /// What to compare with; `None` for no comparison.
    pub parity: Option<Originals>,
    /// Whether to build and run the declared stack tests.
    pub stack_tests: bool,
    /// Time limit for each stack to become healthy.
    pub deadline: Duration,
}

/// Runs all requested tests. With all services, the result is stored as a record.
///
/// # Errors
/// When a stack does not become healthy, or a record cannot be read or written. Failed probes are in the report.
pub fn run(manifest: &Manifest, request: &TestRequest<'_>, context: &Context) -> Result<TestReport> {
    if request.parity.is_some() && !manifest.has_twins() {
        let what = "--parity compares optimized images with originals, but no service has both";
        return Err(Failure::new(FailureClass::Usage, what, "omit --parity").into());
    }
    refuse_outside_of_compose(&request.services)?;
    let provenance = match records::is_whole(&request.services, manifest, request.edition) {
        true => Some(records::now(RecordKind::Test, manifest, request.edition, &request.tag, context)?),
        false => None,
    };
    let socket = if request.stack_tests { Some(socket(context)?) } else { None };
    if request.stack_tests {
        builds::stack_tests(manifest, BasesMode::Auto, context)?;
    }
    let variants = match request.parity {
        Some(Originals::Live { .. }) => Variant::ALL.to_vec(),
        Some(Originals::Recorded) => vec![Variant::Optimized],
        None => request.variants.clone(),
    };
    // Without optimized builds there is one stack, of the services' only images.
    let variants = if manifest.has_twins() { variants } else { vec![Variant::Original] };
    let mut tested = Vec::new();
    for variant in variants {
        let images =
            StackImages { edition: request.edition, variant, tag: request.tag.clone(), replaced: None };
        let services = &request.services;
        let stack = tested::test(manifest, services, &images, request.deadline, socket.as_ref(), context)?;
        tested.push((variant, stack));
    }
    let parity = request.parity.map(|originals| compare(originals, &tested, manifest, request, context));
    let stacks = tested.iter().map(|(variant, stack)| StackReport {
        edition: request.edition,
        variant: *variant,
        report: stack.report.clone(),
    });
    let report = TestReport { schema: SCHEMA, stacks: stacks.collect(), parity: parity.transpose()? };
    if let Some(provenance) = provenance {
        let shipped = if manifest.has_twins() { Variant::Optimized } else { Variant::Original };
        if let Some(stack) = report.stacks.iter().find(|stack| stack.variant == shipped) {
            records::keep(RecordKind::Test, provenance.clone(), stack, context)?;
        }
        if let Some(parity) = &report.parity {
            records::keep(RecordKind::Parity, provenance, parity, context)?;
        }
    }
    Ok(report)
}

/// Only services of the Compose file can be started.
///
/// # Errors
/// The services that are not in it.
pub fn refuse_outside_of_compose(services: &[&Service]) -> Result<()> {
    let outside = services.iter().filter(|service| service.compose.is_none());
    let names: Vec<&str> = outside.map(|service| service.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let what = format!("cannot start services that are not in the Compose file: {}", names.join(", "));
    Err(Failure::new(
        FailureClass::Usage,
        what,
        "add `compose = \"NAME\"` to their tables, or name other services",
    )
    .into())
}

/// The engine's socket, required before anything is built or started.
fn socket(context: &Context) -> Result<Socket> {
    context.docker.socket().map_err(|error| {
        let remedy = "stack tests stop and start services through a local socket: choose such an engine with DOCKER_HOST or \
                      `docker context use`, or omit --stack-tests";
        Failure::machine(format!("{error:#}"), remedy).into()
    })
}

fn compare(
    originals: Originals,
    tested: &[(Variant, TestedStack<'_>)],
    manifest: &Manifest,
    request: &TestRequest<'_>,
    context: &Context,
) -> Result<ParityReport> {
    let of = |variant: Variant| tested.iter().find(|(found, _)| *found == variant).map(|(_, stack)| stack);
    let groups = ProbePlan::new(manifest, &request.services, Some(request.edition)).groups;
    let Some(optimized) = of(Variant::Optimized) else { bail!("no optimized image was tested") };
    let answers = match (originals, of(Variant::Original)) {
        (Originals::Live { record }, Some(original)) => {
            if record {
                original.record(manifest, &groups, request.edition, context)?;
            }
            OriginalAnswers::live(&original.results, &original.secrets)
        }
        _ => {
            let services_of = |group: &str| optimized.services_of(group);
            record::answers(request.edition, &groups, services_of, &manifest.services, &context.repository)?
        }
    };
    let secrets = &context.docker.runner.secrets;
    let outcomes = answers.compare(&optimized.results, &optimized.secrets, secrets);
    let report =
        ProbeReport { outcomes, unprobed: Vec::new(), routes: Vec::new(), ..optimized.report.clone() };
    Ok(ParityReport { recorded: originals == Originals::Recorded, report })
}
