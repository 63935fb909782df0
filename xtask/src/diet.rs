//! Subcommand: `cargo xtask diet`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::any_image::AnyImageArgs;
use crate::args::{self, Format};
use crate::image_args::OneVariant;
use crate::locked_volumes;
use engine::builds;
use engine::context::Context;
use engine::environment::require_engine;
use measure::diet::report::DietView;
use measure::diet::run::{self as execute, DietRequest};
use model::variant::Variant;

/// Show what an image can do without, proven by its probes, and write the Dockerfile of the smaller image
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The service
    #[arg(required_unless_present = "image")]
    service: Option<String>,
    #[command(flatten)]
    any: AnyImageArgs,
    /// Variant of its image [default: optimized]
    #[arg(long, value_enum, conflicts_with_all = ["image", "compose"])]
    variant: Option<OneVariant>,
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long, conflicts_with_all = ["image", "compose"])]
    tag: Option<String>,
    /// Also try to remove files that are opened only during the start
    #[arg(long)]
    aggressive: bool,
    /// Write the Dockerfile of the proven image to this file; `-` prints it instead of the report
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seconds for all services to become healthy, in each trial
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
  # Find what the original image of a service can do without
  cargo xtask diet storage --variant original
  # Print the Dockerfile of the smaller image
  cargo xtask diet storage --variant original --output -
  # Also try files that are only opened during the start
  cargo xtask diet storage --aggressive
  # Any image: a server, and a command that exits
  cargo xtask diet --image nginx:1.28 --requests requests.toml
  cargo xtask diet --image jq:1.7 -- jq -n 1+1
  # A service of any Compose file
  cargo xtask diet web --compose compose.yaml --requests requests.toml

Each trial starts a throwaway stack and sends the probes of the service, and
the scenarios that ask it. The other services run their optimized images.
Needs root and an engine on this machine, as `trace` does. It changes no file.";

impl Args {
    pub(crate) fn needs_manifest(&self) -> bool {
        self.any.needs_manifest()
    }
}

/// Finds the files that an image can do without, and prints the result.
///
/// # Errors
/// Wrong usage, a machine that cannot trace, a missing image, and probes that fail on the untouched image or are flaky.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let any = args.any.manifest(args.service.as_slice(), context)?;
    let (manifest, context) = match &any {
        Some((manifest, context)) => (manifest, context),
        None => (&builds::manifest(context)?, context),
    };
    let services = args::services(manifest, args.service.as_slice())?;
    let [service] = services.as_slice() else { bail!("expected one service") };
    let request = DietRequest {
        service,
        edition: args::edition(manifest, args.edition.as_deref())?,
        variant: args.variant.map_or(Variant::Optimized, OneVariant::resolve),
        tag: args::tag(manifest, args.tag.as_deref())?,
        aggressive: args.aggressive,
        deadline: Duration::from_secs(args.timeout),
    };
    require_engine(context)?;
    let diet = execute::run(manifest, &request, context)
        .inspect_err(|error| locked_volumes::warn(error, manifest, context))?;
    if let Some(file) = &args.output {
        context.terminal.write_file(file, diet.dockerfile.as_bytes())?;
        if context.terminal.is_stdout(file) {
            return Ok(());
        }
        context.terminal.say(format!("Dockerfile of the proven image: {}", file.display()));
    }
    context.terminal.print(args.format.of(&DietView { report: &diet.report, top: args.top })?);
    Ok(())
}
