//! A whole test: every stack that is asked for, and whether the optimized images answer as the originals.

use host::failure::Failure;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::parity::{Answers, record};
use crate::probes;
use crate::probes::report::{Parity, Report, SCHEMA, Stack, TestReport};
use crate::throwaway::Images;
use crate::throwaway::run;
use crate::throwaway::run::Tried;
use build::bases::Mode;
use build::produce;
use engine::context::Context;
use engine::provenance::Provenance;
use engine::records;
use engine::records::RecordKind;
use engine::socket::Socket;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// What stands on the originals' side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Originals {
    /// Originals that run; `record` writes down what they answer.
    Live {
        /// Whether to.
        record: bool,
    },
    /// Their recorded answers.
    Recorded,
}

/// What is asked for, resolved.
#[derive(Debug, Clone)]
pub struct Wanted<'m> {
    /// The services.
    pub services: Vec<&'m Service>,
    /// The edition of all images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: Tag,
    /// The variants, where parity does not say which.
    pub variants: Vec<Variant>,
    /// What to compare with; `None` for no comparison.
    pub parity: Option<Originals>,
    /// Whether to build and run the declared test programs.
    pub stack_tests: bool,
    /// Until a stack must be healthy.
    pub deadline: Duration,
}

/// Tries all of it and, where all services were asked for, keeps a record.
///
/// # Errors
/// When a stack does not get healthy, or a record cannot be read or written. What did not pass is in the report.
pub fn test(manifest: &Manifest, wanted: &Wanted<'_>, context: &Context) -> Result<TestReport> {
    let of = match records::is_whole(&wanted.services, manifest) {
        true => Some(records::now(RecordKind::Test, manifest, wanted.edition, &wanted.tag, context)?),
        false => None,
    };
    let socket = if wanted.stack_tests { Some(socket(context)?) } else { None };
    if wanted.stack_tests {
        produce::stack_tests(manifest, Mode::Auto, context)?;
    }
    let variants = match wanted.parity {
        Some(Originals::Live { .. }) => Variant::ALL.to_vec(),
        Some(Originals::Recorded) => vec![Variant::Optimized],
        None => wanted.variants.clone(),
    };
    let mut tried = Vec::new();
    for variant in variants {
        let images = Images { edition: wanted.edition, variant, tag: wanted.tag.clone() };
        let one = run::run(manifest, &wanted.services, &images, wanted.deadline, socket.as_ref(), context)?;
        tried.push((variant, one));
    }
    let parity = wanted.parity.map(|originals| compare(originals, &tried, manifest, wanted, context));
    let stack = |(variant, tried): &(Variant, Tried<'_>)| Stack {
        edition: wanted.edition,
        variant: *variant,
        report: tried.report.clone(),
    };
    let stacks = tried.iter().map(stack).collect();
    let report = TestReport { schema: SCHEMA, stacks, parity: parity.transpose()? };
    of.map_or(Ok(()), |of| keep(&report, of, context))?;
    Ok(report)
}

/// Keeps what was found of optimized images.
fn keep(report: &TestReport, of: Provenance, context: &Context) -> Result<()> {
    let optimized = report.stacks.iter().find(|stack| stack.variant == Variant::Optimized);
    if let Some(stack) = optimized {
        records::keep(RecordKind::Test, of.clone(), stack, context)?;
    }
    report.parity.as_ref().map_or(Ok(()), |parity| records::keep(RecordKind::Parity, of, parity, context))
}

/// Asked for before anything is built or raised.
fn socket(context: &Context) -> Result<Socket> {
    context.docker.socket().map_err(|error| {
        let remedy = "stack tests stop services and start them through a socket of this machine: choose such an engine with \
                      DOCKER_HOST or `docker context use`, or leave out --stack-tests";
        Failure::machine(format!("{error:#}"), remedy).into()
    })
}

fn compare(
    originals: Originals,
    tried: &[(Variant, Tried<'_>)],
    manifest: &Manifest,
    wanted: &Wanted<'_>,
    context: &Context,
) -> Result<Parity> {
    let of = |variant: Variant| tried.iter().find(|(found, _)| *found == variant).map(|(_, tried)| tried);
    let groups = probes::inquiry(manifest, &wanted.services).groups;
    let Some(optimized) = of(Variant::Optimized) else {
        bail!("no optimized image was tried");
    };
    let answers = match (originals, of(Variant::Original)) {
        (Originals::Live { record }, Some(original)) => {
            if record {
                original.record(manifest, &groups, wanted.edition, context)?;
            }
            Answers::live(&original.done)
        }
        _ => {
            let parts = |group: &str| optimized.parts(group);
            record::answers(wanted.edition, &groups, parts, &manifest.services, &context.repository)?
        }
    };
    let report = Report { outcomes: answers.compare(&optimized.done), ..optimized.report.clone() };
    Ok(Parity { recorded: originals == Originals::Recorded, report })
}
