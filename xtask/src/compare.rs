//! Subcommand: `cargo xtask compare`.

use anyhow::Result;

use crate::args::{self, FleetArgs, Format};
use build::comparison::measure::compare;
use build::fleet;
use engine::context::Context;
use engine::environment::require_engine;
use model::reader;

/// Compare optimized images with originals, size targets and goals
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services to compare [default: all]
    services: Vec<String>,
    /// simple, community or enterprise [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Tag to compare [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    fleet: FleetArgs,
}

const EXAMPLES: &str = "Examples:
  # Compare every optimized image with its original, target and goal
  cargo xtask compare
  # For a pull request
  cargo xtask compare --format markdown
  # Add download size and attack surface
  cargo xtask compare --fleet
  # Add the download size of an upgrade from 1.0
  cargo xtask compare --since 1.0";

/// # Errors
/// Wrong usage, or docker fails.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let services = args::services(&manifest, &args.services)?;
    let edition = args::edition(args.edition.as_deref())?;
    let tag = args::tag(args.tag.as_deref())?;
    require_engine(context)?;
    let mut comparison = compare(&manifest, &services, edition, &tag, context)?;
    let since = args.fleet.since()?;
    if args.fleet.is_wanted() {
        let since = since.as_ref();
        comparison.fleet =
            Some(fleet::measure::measure(&manifest, &services, edition, &tag, since, context)?);
    }
    context.terminal.print(args.format.of(&comparison)?);
    Ok(())
}
