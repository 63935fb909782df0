//! Subcommand: `cargo xtask test`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::smoke_test::Output;
use super::typed::{self, Usage, VariantChoice};
use crate::capabilities::bases::Mode;
use crate::capabilities::build::produce;
use crate::capabilities::context::Context;
use crate::capabilities::environment::require_engine;
use crate::capabilities::manifest;
use crate::capabilities::parity::{Answers, record};
use crate::capabilities::probes;
use crate::capabilities::render;
use crate::capabilities::render::probes::Titled;
use crate::capabilities::trial::Images;
use crate::capabilities::trial::run::{self, Tried};
use crate::domain::manifest::{Manifest, Service};
use crate::domain::probe_report::{Parity, Report, SCHEMA, Stack, TestReport};
use crate::domain::variant::Variant;
use crate::system::files;

/// Try images in a stack of their own, which goes afterwards
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services, which are started with what they depend on; none means all, and the scenarios through the whole stack
    services: Vec<String>,
    /// simple, community or enterprise [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Which images
    #[arg(long, value_enum, default_value = "optimized")]
    variant: VariantChoice,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Compare the answers of optimized images with those of the originals: running beside them, or recorded
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "live")]
    parity: Option<ParityChoice>,
    /// Record what the running originals answer
    #[arg(long, requires = "parity")]
    record: bool,
    /// Build and run the test programs that images.toml declares as [stack-test.NAME], too; with all services only
    #[arg(long)]
    stack_tests: bool,
    /// Seconds until every service must be healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "Examples:
  cargo xtask test                             the optimized images, as the default edition
  cargo xtask test --parity=recorded           and whether they answer as the originals once did
  cargo xtask test --parity --record           and as the originals do, whose answers are kept in xtask/parity/
  cargo xtask test storage --variant original  one service and what it depends on";

/// What stands on the originals' side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ParityChoice {
    /// Originals that run
    Live,
    /// Their recorded answers
    Recorded,
}

/// Runs it.
///
/// # Errors
/// With the names of all that did not pass, or why a stack did not get healthy.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    if args.record && args.parity != Some(ParityChoice::Live) {
        bail!(Usage("--record takes down what running originals answer: use it with --parity".to_owned()));
    }
    let manifest = manifest::load(&context.repository)?;
    let services = typed::services(&manifest, &args.services)?;
    let (edition, tag) = (typed::edition(args.edition.as_deref())?, typed::tag(args.tag.as_deref())?);
    require_engine(context)?;
    if args.stack_tests {
        if services.len() < manifest.services.len() {
            bail!(Usage("--stack-tests needs the whole stack: name no service".to_owned()));
        }
        produce::stack_tests(&manifest, Mode::Auto, context)?;
    }
    let mut variants = args.variant.resolve();
    match args.parity {
        Some(ParityChoice::Live) => variants = Variant::ALL.to_vec(),
        Some(ParityChoice::Recorded) => variants = vec![Variant::Optimized],
        None => {}
    }
    let mut tried = Vec::new();
    for variant in variants {
        let images = Images { edition, variant, tag: tag.clone() };
        let deadline = Duration::from_secs(args.timeout);
        tried.push((
            images.clone(),
            run::run(&manifest, &services, &images, deadline, args.stack_tests, context)?,
        ));
    }
    let parity = args.parity.map(|choice| compare(args, choice, &tried, &manifest, &services, context));
    let stack = |(images, tried): &(Images, Tried<'_>)| Stack {
        edition: images.edition,
        variant: images.variant,
        report: tried.report.clone(),
    };
    let record =
        TestReport { schema: SCHEMA, stacks: tried.iter().map(stack).collect(), parity: parity.transpose()? };
    files::write_atomically(&context.repository.test_record(), render::probes::json(&record)?.as_bytes())?;
    args.output.print(&titled(&record), &record)
}

/// Compares the optimized images' answers with the originals', live or recorded.
fn compare(
    args: &Args,
    choice: ParityChoice,
    tried: &[(Images, Tried<'_>)],
    manifest: &Manifest,
    services: &[&Service],
    context: &Context,
) -> Result<Parity> {
    let of = |variant: Variant| tried.iter().find(|(images, _)| images.variant == variant);
    let groups = probes::inquiry(manifest, services).groups;
    let Some((images, optimized)) = of(Variant::Optimized) else {
        bail!("no optimized image was tried");
    };
    let answers = match (choice, of(Variant::Original)) {
        (ParityChoice::Live, Some((_, original))) => {
            if args.record {
                original.record(manifest, &groups, images.edition, context)?;
            }
            Answers::live(&original.done)
        }
        _ => {
            let parts = |group: &str| optimized.parts(group);
            record::answers(images.edition, &groups, parts, &manifest.services, &context.repository)?
        }
    };
    let report = Report { outcomes: answers.compare(&optimized.done), ..optimized.report.clone() };
    Ok(Parity { recorded: choice == ParityChoice::Recorded, report })
}

fn titled(record: &TestReport) -> Vec<Titled<'_>> {
    let stacks = record
        .stacks
        .iter()
        .map(|stack| (format!("{} images, edition {}", stack.variant, stack.edition), &stack.report));
    let parity = record.parity.iter().map(|parity| {
        let with = if parity.recorded { "recorded answers of originals" } else { "originals" };
        (format!("optimized images beside {with}"), &parity.report)
    });
    stacks.chain(parity).collect()
}
