//! Subcommand: `cargo xtask trace`.

use std::time::Duration;

use anyhow::Result;

use crate::any_image::AnyImageArgs;
use crate::args::{self, Format};
use crate::image_args::OneVariant;
use crate::locked_volumes;
use engine::builds;
use engine::context::Context;
use engine::environment::require_engine;
use measure::trace::report::TraceView;
use measure::trace::run::{self as traced, TraceRequest};
use model::variant::Variant;

/// Show which files of an image are opened: at the start, while idle, by each probe, at the end
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services to trace; their dependencies are started too [default: all, with scenarios]
    services: Vec<String>,
    #[command(flatten)]
    any: AnyImageArgs,
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Images to trace [default: optimized]
    #[arg(long, value_enum, conflicts_with_all = ["image", "compose"])]
    variant: Option<OneVariant>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long, conflicts_with_all = ["image", "compose"])]
    tag: Option<String>,
    /// Seconds to wait between the start and the first probe
    #[arg(long, default_value = "2", value_name = "SECONDS")]
    idle: u64,
    /// Seconds for all services to become healthy
    #[arg(long, default_value = "180")]
    timeout: u64,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum rows of a table; JSON is complete
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

const EXAMPLES: &str = "Examples:
  # Trace all services, with scenarios
  cargo xtask trace
  # Trace the original image of one service
  cargo xtask trace storage --variant original
  # Trace any image: a server, and a command that exits
  cargo xtask trace --image nginx:1.28 --requests requests.toml
  cargo xtask trace --image jq:1.7 -- jq -n 1+1

Needs root, and an engine on this machine that runs as root. `analyze --used`
shows the stored result until the image changes.";

impl Args {
    pub(crate) fn needs_manifest(&self) -> bool {
        self.any.needs_manifest()
    }
}

/// Traces services in a throwaway stack and prints how much of their images they opened.
///
/// # Errors
/// Wrong usage, a machine that cannot trace, a failed probe, or services that do not start.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let any = args.any.manifest(&args.services, context)?;
    let (manifest, context) = match &any {
        Some((manifest, context)) => (manifest, context),
        None => (&builds::manifest(context)?, context),
    };
    let request = TraceRequest {
        services: args::services(manifest, &args.services)?,
        edition: args::edition(manifest, args.edition.as_deref())?,
        variant: args.variant.map_or(Variant::Optimized, OneVariant::resolve),
        tag: args::tag(manifest, args.tag.as_deref())?,
        idle: Duration::from_secs(args.idle),
        deadline: Duration::from_secs(args.timeout),
    };
    require_engine(context)?;
    let report = traced::run(manifest, &request, context)
        .inspect_err(|error| locked_volumes::warn(error, manifest, context))?;
    context.terminal.print(args.format.of(&TraceView { report: &report, top: args.top })?);
    Ok(())
}
