//! Subcommand: `cargo xtask clean`.

use anyhow::Result;

use crate::args;
use crate::args::{Format, VariantChoice};
use build::clean::run;
use build::plan::Request;
use build::push::plan;
use engine::context::Context;
use engine::environment::{require_buildx, require_engine};
use model::reader;

/// Remove images that this repository built, and say what that freed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services whose images to remove; none means all
    services: Vec<String>,
    /// simple, community, enterprise or all [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Which images
    #[arg(long, value_enum, default_value = "optimized")]
    variant: VariantChoice,
    /// Tag; edition and variant are appended [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Remove this project's part of the build cache too, whatever else is asked for
    #[arg(long)]
    cache: bool,
    /// Remove this project's part of the build cache, and no image
    #[arg(long, conflicts_with_all = ["services", "edition", "variant", "tag", "cache"])]
    cache_only: bool,
    /// Print what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  cargo xtask clean --dry-run                     what would go, and how much that frees
  cargo xtask clean --edition all --variant both  every image of the default tag
  cargo xtask clean api --tag 1.0                 one service's images of one tag
  cargo xtask clean --cache                       this project's build cache, too
  cargo xtask clean --cache-only                  the build cache, and no image: where the disk is full";

/// Runs it. What is left alone, and why, is part of the report and no failure.
///
/// # Errors
/// Wrong words, or an engine that cannot be asked.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let request = Request {
        services: args::services(&manifest, &args.services)?,
        editions: args::editions(args.edition.as_deref())?,
        variants: args.variant.resolve(),
        tag: args::tag(args.tag.as_deref())?,
        default_edition: args::default_edition()?,
    };
    require_engine(context)?;
    let cache = args.cache || args.cache_only;
    if cache {
        require_buildx(context)?;
    }
    let wanted = if args.cache_only { Vec::new() } else { plan::requested(&request) };
    let report = if args.dry_run {
        run::planned(&manifest, &wanted, cache, context)?
    } else {
        run::clean(&manifest, &wanted, cache, context)?
    };
    match args.format {
        Format::Table => print!("{}", build::clean::text::text(&report)),
        Format::Markdown => print!("{}", build::clean::text::markdown(&report)),
        Format::Json => print!("{}", build::clean::text::json(&report)?),
    }
    Ok(())
}
