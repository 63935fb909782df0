//! Subcommand: `cargo xtask clean`.

use anyhow::Result;

use crate::args::{self, Format, RequestArgs};
use build::clean::execute::{self, CleanRequest};
use engine::builds;
use engine::context::Context;
use engine::environment::{require_buildx, require_engine};

/// Remove images that this repository built: the requested tags, and untagged leftovers of the same services
///
/// Images used by a container are kept and listed. Images needed by `deploy rollback` are kept unless --rollback is given.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services whose images to remove [default: all]
    services: Vec<String>,
    #[command(flatten)]
    request: RequestArgs,
    /// Also remove the images that `deploy rollback` would return to
    #[arg(long)]
    rollback: bool,
    /// Also prune the builder's whole build cache, other projects' included (docker buildx prune)
    #[arg(long)]
    cache: bool,
    /// Only prune the builder's whole build cache, other projects' included; remove no image
    #[arg(long, conflicts_with_all = ["services", "edition", "variant", "tag", "rollback", "cache"])]
    cache_only: bool,
    /// Take over the tag lock of a killed run on another machine; complete or revert its moves
    #[arg(long)]
    break_lock: bool,
    /// Print what would be removed without removing it
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  # Show what would be removed
  cargo xtask clean --dry-run
  # Remove every image under the default tag
  cargo xtask clean --edition all --variant both
  # Remove the images of one service and tag
  cargo xtask clean api --tag 1.0
  # Prune the builder's whole build cache too
  cargo xtask clean --cache
  # Prune only the build cache, for example when the disk is full
  cargo xtask clean --cache-only";

/// Kept images are part of the report and no failure.
///
/// # Errors
/// Wrong usage, or docker fails.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let request = args.request.resolve(&manifest, args::services(&manifest, &args.services)?)?;
    require_engine(context)?;
    let cache = args.cache || args.cache_only;
    if cache {
        require_buildx(context)?;
    }
    let images = if args.cache_only { Vec::new() } else { request.tagged_images() };
    let request =
        CleanRequest { images: &images, rollback: args.rollback, cache, break_lock: args.break_lock };
    let report = if args.dry_run {
        execute::dry_run(&manifest, request, context)?
    } else {
        execute::clean(&manifest, request, context)?
    };
    context.terminal.print(args.format.of(&report)?);
    Ok(())
}
