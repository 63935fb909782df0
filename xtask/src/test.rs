//! Subcommand: `cargo xtask test`.

use host::failure::Failure;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::args;
use crate::args::VariantChoice;
use crate::smoke_test::Output;
use engine::context::Context;
use engine::environment::require_engine;
use model::reader;
use stack::probes::text::titled;
use stack::throwaway::whole;
use stack::throwaway::whole::{Originals, Wanted};

/// Try images in a stack of their own, which goes afterwards
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services, which are started with what they depend on; none means all, and the scenarios through the whole stack
    services: Vec<String>,
    /// simple, community or enterprise [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Which images [default: optimized]; --parity says it itself
    #[arg(long, value_enum, conflicts_with = "parity")]
    variant: Option<VariantChoice>,
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
    let parity = match (args.parity, args.record) {
        (Some(ParityChoice::Live), record) => Some(Originals::Live { record }),
        (_, true) => {
            let words = "--record takes down what running originals answer: use it with --parity";
            bail!(Failure::usage(words.to_owned()))
        }
        (Some(ParityChoice::Recorded), false) => Some(Originals::Recorded),
        (None, false) => None,
    };
    let manifest = reader::load(&context.repository)?;
    let services = args::services(&manifest, &args.services)?;
    if args.stack_tests && services.len() < manifest.services.len() {
        bail!(Failure::usage("--stack-tests needs the whole stack: name no service".to_owned()));
    }
    let wanted = Wanted {
        services,
        edition: args::edition(args.edition.as_deref())?,
        tag: args::tag(args.tag.as_deref())?,
        variants: args.variant.unwrap_or(VariantChoice::Optimized).resolve(),
        parity,
        stack_tests: args.stack_tests,
        deadline: Duration::from_secs(args.timeout),
    };
    require_engine(context)?;
    let report = whole::test(&manifest, &wanted, context)?;
    args.output.print(&titled(&report), &report)
}
