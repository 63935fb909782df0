//! Subcommand: `cargo xtask measure`.

use host::failure::Failure;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::args;
use crate::args::Format;
use engine::context::Context;
use engine::environment::require_engine;
use measure::plan::Part;
use measure::rate::Rate;
use measure::text;
use measure::text::Shown;
use measure::{Plan, Wanted};
use model::reader;

/// Measure originals against optimized images: pull, start, memory, processor time, a request
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services; none means all
    services: Vec<String>,
    /// Samples of each variant, which take turns
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: u32,
    /// simple, community or enterprise [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Only these
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    only: Vec<PartChoice>,
    /// All services together, too, or `--stack=only` for no pull and no start of single ones; with no service named only
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "too")]
    stack: Option<StackChoice>,
    /// Repeat pulls through a line of this rate; `none` for no such pulls
    #[arg(long, default_value = "100Mbit", value_name = "RATE")]
    throttle: String,
    /// Seconds between the first healthy answer and the reading of idle memory
    #[arg(long, default_value = "5", value_name = "SECONDS")]
    settle: u64,
    /// Seconds until a container or a stack must be healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Say what would be done, in which order, and measure nothing
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "Examples:
  cargo xtask measure --stack                          everything, of all services
  cargo xtask measure --stack=only --only pull         what a host pulls for the stack, and nothing else
  cargo xtask measure storage --runs 10 --only start   one figure of one service, ten times each
  cargo xtask measure api --only pull --throttle 20Mbit --with-engine
                                                       pulls need Debian's docker-registry, which is unpacked and not
                                                       installed, and root's rights for a second engine

Figures are kept in target/xtask/measure.json, sample by sample; what a run does not measure stays from earlier ones.";

/// What is measured beside all services together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StackChoice {
    /// Single services as well
    Too,
    /// Nothing
    Only,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartChoice {
    /// Bytes and time of a pull
    Pull,
    /// From the container's start to the first healthy answer
    Start,
    /// Resident memory, idle and used
    Memory,
    /// Processor time until healthy
    Cpu,
    /// Time and processor time of a typical request
    Request,
}

impl PartChoice {
    fn resolve(self) -> Part {
        match self {
            PartChoice::Pull => Part::Pull,
            PartChoice::Start => Part::Start,
            PartChoice::Memory => Part::Memory,
            PartChoice::Cpu => Part::Cpu,
            PartChoice::Request => Part::Request,
        }
    }
}

/// Runs it.
///
/// # Errors
/// Wrong words, a machine that lacks something, or a step that failed; what was measured before it is kept.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    if args.stack.is_some() && !args.services.is_empty() {
        bail!(Failure::usage("--stack measures all services together: name none".to_owned()));
    }
    let throttle = match args.throttle.as_str() {
        "none" => None,
        text => Some(text.parse::<Rate>().map_err(|error| Failure::usage(format!("--throttle: {error}")))?),
    };
    let manifest = reader::load(&context.repository)?;
    let services = args::services(&manifest, &args.services)?;
    let parts: Vec<Part> = args.only.iter().map(|choice| choice.resolve()).collect();
    let wanted = Wanted {
        services,
        edition: args::edition(args.edition.as_deref())?,
        tag: args::tag(args.tag.as_deref())?,
        runs: args.runs,
        parts: if parts.is_empty() { Part::ALL.to_vec() } else { parts },
        whole: args.stack.is_some(),
        singles: args.stack != Some(StackChoice::Only),
        throttle,
        settle: Duration::from_secs(args.settle),
        deadline: Duration::from_secs(args.timeout),
    };
    require_engine(context)?;
    let plan = measure::plan(&manifest, &wanted, context)?;
    if args.dry_run {
        print(&plan);
        return Ok(());
    }
    for left in &plan.left_out {
        context.terminal.warn(format!("left out: {}, {}: {}", left.subject, left.what, left.reason));
    }
    let measured = measure::measure(&manifest, &wanted, &plan, context)?;
    let names: Vec<String> = wanted.services.iter().map(|service| service.name.clone()).collect();
    let shown = Shown {
        record: &measured.record,
        edition: wanted.edition,
        tag: wanted.tag.as_str(),
        services: &names,
        figures: &measured.figures,
    };
    match args.format {
        Format::Table => print!("{}", text::text(&shown)),
        Format::Markdown => print!("{}", text::markdown(&shown)),
        Format::Json => print!("{}", text::json(&measured.record)?),
    }
    Ok(())
}

fn print(plan: &Plan<'_>) {
    for (index, step) in plan.steps.iter().enumerate() {
        println!("{:>4}  {step}", index + 1);
    }
    for left in &plan.left_out {
        println!("left out: {}, {}: {}", left.subject, left.what, left.reason);
    }
}
