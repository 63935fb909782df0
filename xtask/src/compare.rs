//! Subcommand: `cargo xtask compare`.

use anyhow::Result;

use crate::args;
use crate::args::{FleetArgs, Format};
use build::compare::compare;
use build::fleet_of_images;
use engine::context::Context;
use engine::environment::require_engine;
use model::reader;

/// Set optimized images beside originals, targets and goals
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services to compare; none means all
    services: Vec<String>,
    /// simple, community or enterprise [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Tag to look at [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    fleet: FleetArgs,
}

const EXAMPLES: &str = "Examples:
  cargo xtask compare                    every optimized image beside its original, target and goal
  cargo xtask compare --format markdown  for a pull request
  cargo xtask compare --fleet            what a host pulls, and what an attacker finds
  cargo xtask compare --since 1.0        what a host with 1.0 pulls for an upgrade";

/// Runs it.
///
/// # Errors
/// Wrong words, or no engine that answers.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let services = args::services(&manifest, &args.services)?;
    let edition = args::edition(args.edition.as_deref())?;
    let tag = args::tag(args.tag.as_deref())?;
    require_engine(context)?;
    let mut comparison = compare(&manifest, &services, edition, &tag, context)?;
    let since = args.fleet.since()?;
    if args.fleet.is_wanted() {
        let figures = fleet_of_images::measure(&manifest, &services, edition, &tag, since.as_ref(), context)?;
        comparison.fleet = Some(figures);
    }
    match args.format {
        Format::Table => print!("{}", build::comparison_text::text(&comparison)),
        Format::Markdown => print!("{}", build::comparison_text::markdown(&comparison)),
        Format::Json => print!("{}", build::comparison_text::json(&comparison)?),
    }
    Ok(())
}
