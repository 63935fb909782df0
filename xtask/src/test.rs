//! Subcommand: `cargo xtask test`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::args::{self, PlatformChoice, VariantChoice};
use crate::locked_volumes;
use crate::smoke_test::Output;
use engine::context::Context;
use engine::environment::require_engine;
use host::failure::Failure;
use stack::probes::plan::ProbePlan;
use stack::throwaway::test_run::{self, Originals, TestRequest};

/// Test images in a throwaway stack
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services to test; their dependencies are started too [default: all, with scenarios]
    services: Vec<String>,
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Images to test [default: optimized]; set by --parity
    #[arg(long, value_enum, conflicts_with = "parity")]
    variant: Option<VariantChoice>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    platform: PlatformChoice,
    /// Compare the answers of optimized images with those of running or recorded originals
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "live")]
    parity: Option<ParityChoice>,
    /// Record the running originals' answers
    #[arg(long, requires = "parity")]
    record: bool,
    /// Also build and run the stack tests of images.toml ([stack-test.NAME]); needs all services
    #[arg(long)]
    stack_tests: bool,
    /// Seconds for all services to become healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "Examples:
  # Test the optimized images
  cargo xtask test
  # Compare them with recorded answers of the originals
  cargo xtask test --parity=recorded
  # Compare them with running originals and record their answers
  cargo xtask test --parity --record
  # Test one service and its dependencies
  cargo xtask test storage --variant original";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ParityChoice {
    /// Running originals
    Live,
    /// Recorded answers
    Recorded,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let parity = match (args.parity, args.record) {
        (Some(ParityChoice::Live), record) => Some(Originals::Live { record }),
        (_, true) => {
            bail!(Failure::usage("--record needs running originals: use it with --parity=live"))
        }
        (Some(ParityChoice::Recorded), false) => Some(Originals::Recorded),
        (None, false) => None,
    };
    let manifest = args.platform.manifest(context)?;
    let services = args::services(&manifest, &args.services)?;
    if args.stack_tests && services.len() < manifest.services.len() {
        bail!(Failure::usage("--stack-tests needs all services: do not name any"));
    }
    let request = TestRequest {
        services,
        edition: args::edition(&manifest, args.edition.as_deref())?,
        tag: args::tag(&manifest, args.tag.as_deref())?,
        variants: args.variant.unwrap_or(VariantChoice::Optimized).resolve(),
        parity,
        stack_tests: args.stack_tests,
        deadline: Duration::from_secs(args.timeout),
    };
    require_engine(context)?;
    let report = test_run::run(&manifest, &request, context)
        .inspect_err(|error| locked_volumes::warn(error, &manifest, context))?;
    args.output.print(&report, &report.sections(), &context.terminal)?;
    // That containers start and stay confined does not show that they answer correctly.
    if request.stack_tests {
        return Ok(());
    }
    let plan = ProbePlan::new(&manifest, &request.services, Some(request.edition));
    report.stacks.iter().try_for_each(|stack| Ok(plan.refuse_silence(&stack.report)?))
}
