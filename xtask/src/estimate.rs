//! Subcommand: `cargo xtask estimate`.

use anyhow::Result;

use crate::args::{self, Format};
use build::estimate::{self, EstimateRequest, EstimateView};
use check::published_sizes;
use engine::builds;
use engine::context::Context;

/// Estimate the effect of changed lock files on image sizes, before a build
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Compare lock files with those of a commit
    #[arg(long, value_name = "REF")]
    changed_since: String,
    /// Edition of the images that sizes are taken from [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Tag of these images [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Also ask npm's registry and pip's index, as configured here; this tells them the packages' names
    #[arg(long)]
    ask_registries: bool,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum rows of a table; JSON is complete
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

const HELP: &str = "Examples:
  # List packages that this branch adds, removes or updates
  cargo xtask estimate --changed-since origin/main
  # Ask registries about the sizes of new packages
  cargo xtask estimate --changed-since origin/main --ask-registries
  # For a pull request
  cargo xtask estimate --changed-since HEAD^1 --format markdown

A size is known if an image has the same version of the package, if the lock
file states it, or if a registry was asked. Everything else is unknown.";

/// Prints the estimate; in tables, nothing if no lock file changed.
///
/// # Errors
/// Invalid arguments, an unknown commit, a damaged image.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let request = EstimateRequest {
        since: &args.changed_since,
        tag: args::tag(&manifest, args.tag.as_deref())?,
        edition: args::edition(&manifest, args.edition.as_deref())?,
    };
    let mut estimate = estimate::since(&request, &manifest, context)?;
    if args.ask_registries {
        published_sizes::ask(&mut estimate, context)?;
    }
    if estimate.files.is_empty() {
        context.terminal.say(format!("No package in a lock file changed since {}.", args.changed_since));
    }
    if !estimate.files.is_empty() || args.format == Format::Json {
        context.terminal.print(args.format.of(&EstimateView { estimate: &estimate, top: args.top })?);
    }
    Ok(())
}
