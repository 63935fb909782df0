//! Subcommand: `cargo xtask measure`.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::args::{self, Format};
use engine::builds;
use engine::context::Context;
use engine::environment::require_engine;
use host::failure::Failure;
use measure::plan::Part;
use measure::prepare::MeasurePlan;
use measure::request::MeasureRequest;
use measure::view::MeasureView;
use measure::{bounds, prepare, run as execute};
use model::load::Load;
use model::manifest::{Manifest, Service};
use model::names::Unknown;

/// Measure original and optimized images: pull, start, memory, CPU and requests; or loads, or this program itself
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services [default: all]
    services: Vec<String>,
    /// Samples of each variant, which take turns [default: 3; with --load: 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    only: Vec<PartChoice>,
    /// Also all services together; `--stack=only`: no pulls and starts of single services
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "too")]
    stack: Option<StackChoice>,
    /// Run loads of images.toml on optimized images instead [default: all loads]
    #[arg(long, num_args = 0.., value_name = "NAME", conflicts_with_all = ["services", "stack", "only"])]
    load: Option<Vec<String>>,
    /// Measure this program instead: its overhead over plain docker commands, and its compile time
    #[arg(long = "self", conflicts_with_all = ["load", "stack", "only"])]
    self_cost: bool,
    /// Fail if a measured figure exceeds its bound in images.toml
    #[arg(long)]
    check: bool,
    /// Seconds between the first healthy answer and the reading of idle memory
    #[arg(long, default_value = "5", value_name = "SECONDS")]
    settle: u64,
    /// Seconds until a container or a stack must be healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Print the steps without measuring
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "Examples:
  # Measure everything, for all services
  cargo xtask measure --stack
  # Measure only what a host pulls for the stack
  cargo xtask measure --stack=only --only pull
  # Measure the start of one service ten times
  cargo xtask measure storage --runs 10 --only start
  # Run one load and check its bounds
  cargo xtask measure --load ask --check
  # Compare builds with and without this program
  cargo xtask measure client --self

Pulls need root for a second engine, and Debian's docker-registry, which
--with-engine unpacks without installing it. Figures are saved in
target/xtask/measure.json; a run replaces those that it measures.";

/// What is measured beside all services together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StackChoice {
    /// Single services as well
    Too,
    /// Nothing else
    Only,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartChoice {
    /// Bytes and time of a pull
    Pull,
    /// Time from the container's start to the first healthy answer
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

/// Measures, prints the figures, and checks bounds if requested.
///
/// # Errors
/// Wrong usage, a machine that cannot measure, a failed step, or an exceeded bound.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    if args.stack.is_some() && !args.services.is_empty() {
        bail!(Failure::usage("--stack measures all services together: name none".to_owned()));
    }
    let manifest = builds::manifest(context)?;
    let request = args.resolve(&manifest)?;
    require_engine(context)?;
    let plan = prepare::plan(&manifest, &request, context)?;
    if args.dry_run {
        context.terminal.print(lines(&plan));
        return Ok(());
    }
    for left in &plan.left_out {
        context.terminal.warn(format!("skipped: {} {}: {}", left.subject, left.what, left.reason));
    }
    let measurement = execute::measure(&manifest, &request, &plan, context)?;
    let names: Vec<String> = request.services.iter().map(|service| service.name.clone()).collect();
    let view = MeasureView {
        record: &measurement.record,
        edition: request.edition,
        tag: request.tag.as_str(),
        services: &names,
        figures: &measurement.figures,
    };
    context.terminal.print(args.format.of(&view)?);
    if args.check {
        let count = bounds::check(&manifest.bounds, &measurement, &request)?;
        context.terminal.say(format!("Bounds checked: {count}, exceeded: 0."));
    }
    Ok(())
}

impl Args {
    fn resolve<'m>(&self, manifest: &'m Manifest) -> Result<MeasureRequest<'m>> {
        let loads = self.load.as_deref().map(|names| loads(manifest, names)).transpose()?;
        let services: Vec<&Service> = match &loads {
            Some(loads) => {
                let uses = |service: &&Service| loads.iter().any(|load| load.uses(&service.name));
                manifest.services.iter().filter(uses).collect()
            }
            None => args::services(manifest, &self.services)?,
        };
        let parts: Vec<Part> = self.only.iter().map(|choice| choice.resolve()).collect();
        let parts = match parts.is_empty() {
            _ if loads.is_some() || self.self_cost => Vec::new(),
            true => Part::ALL.to_vec(),
            false => parts,
        };
        Ok(MeasureRequest {
            services,
            edition: args::edition(manifest, self.edition.as_deref())?,
            tag: args::tag(manifest, self.tag.as_deref())?,
            runs: self.runs.unwrap_or(if loads.is_some() { 1 } else { 3 }),
            parts,
            whole: self.stack.is_some(),
            singles: self.stack != Some(StackChoice::Only),
            loads: loads.unwrap_or_default(),
            self_cost: self.self_cost,
            settle: Duration::from_secs(self.settle),
            deadline: Duration::from_secs(self.timeout),
        })
    }
}

/// The loads of these names; none means all.
fn loads<'m>(manifest: &'m Manifest, names: &[String]) -> Result<Vec<&'m Load>> {
    let known = || manifest.loads.iter().map(|load| load.name.as_str());
    if manifest.loads.is_empty() {
        bail!(Failure::usage("images.toml declares no [[load.NAME]]"));
    }
    if let Some(name) = names.iter().find(|name| !known().any(|known| known == **name)) {
        return Err(Failure::from(Unknown::new("load", name, known())).into());
    }
    let chosen = |load: &&Load| names.is_empty() || names.contains(&load.name);
    Ok(manifest.loads.iter().filter(chosen).collect())
}

fn lines(plan: &MeasurePlan<'_>) -> String {
    let steps = plan.steps.iter().enumerate().map(|(index, step)| format!("{:>4}  {step}\n", index + 1));
    let left_out = plan.left_out.iter();
    let left_out = left_out.map(|left| format!("skipped: {} {}: {}\n", left.subject, left.what, left.reason));
    steps.chain(left_out).collect()
}
