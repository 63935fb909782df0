//! Subcommand: `cargo xtask push`.

use anyhow::Result;
use host::failure::{Failure, FailureClass};

use crate::args::{self, Format, RequestArgs};
use build::push::execute::{self, JOBS};
use engine::context::Context;
use engine::environment::require_engine;
use model::image_ref::Registry;
use model::reader;

/// Push built images to a private registry and record their digests
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services whose images to push [default: all]
    services: Vec<String>,
    /// Registry, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
    #[arg(long)]
    registry: Option<String>,
    #[command(flatten)]
    request: RequestArgs,
    /// Maximum parallel pushes
    #[arg(long, default_value_t = JOBS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// Print what would be pushed without pushing
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  # Push every optimized image; run it again after a failure
  cargo xtask push --registry registry.company.com/team
  # Show what would be pushed
  cargo xtask push --registry 127.0.0.1:5000 --dry-run
  # Push every edition of one service
  cargo xtask push api --edition all --tag 1.1 --registry hub.example/t";

/// # Errors
/// Wrong usage, missing images, or a failed push.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let request = args.request.resolve(args::services(&manifest, &args.services)?)?;
    let registry = required(args::registry(args.registry.as_deref())?, "push", "nothing was pushed")?;
    require_engine(context)?;
    let images = request.tagged_images();
    let report = if args.dry_run {
        execute::dry_run(&images, &request.tag, &registry, context)?
    } else {
        execute::push(&images, &request.tag, &registry, args.jobs as usize, context)?
    };
    context.terminal.print(args.format.of(&report)?);
    report.check()
}

/// The registry to push to.
///
/// # Errors
/// When there is none; `effect` says what was not done because of it.
pub(super) fn required(registry: Option<Registry>, what: &str, effect: &str) -> Result<Registry> {
    let missing = || {
        Failure::new(
            FailureClass::Usage,
            format!("{what} needs a registry; {effect}"),
            "add --registry HOST[:PORT][/PATH] or set SUTRA_REGISTRY",
        )
    };
    Ok(registry.ok_or_else(missing)?)
}
