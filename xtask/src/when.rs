//! Subcommand: `cargo xtask when`.

use anyhow::Result;

use crate::args::{self, Format, parse};
use check::size_history::{self, HistoryRequest, SizeHistoryView};
use engine::builds;
use engine::context::Context;
use host::failure::Failure;
use model::platform::Platform;

/// Find the commit and Dockerfile line that moved the size of an image
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Service whose shipped image has accepted sizes
    #[arg(value_name = "SERVICE")]
    service: String,
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// A platform, such as linux/arm64 [default: the only one in the lock]
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<String>,
    /// Explain the change that includes this commit [default: the largest]
    #[arg(long, value_name = "REV")]
    commit: Option<String>,
    /// Build commits between the two sizes to find the one that moved it: at most 2 + log2(N) builds, plus those that fail
    #[arg(long)]
    build: bool,
    /// Tag of the images from which package sizes are read [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum rows of a table; JSON is complete
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

const HELP: &str = "Examples:
  # List the accepted sizes of a service, and explain the largest change
  cargo xtask when embedding
  # Explain another change
  cargo xtask when embedding --commit v1.2
  # Build commits in between until one is left
  cargo xtask when embedding --build

Sizes come from the history of the size lock. The lock may be updated long after
the commit that moved the image, so every commit since the previous size is a
candidate. Lock files of packages that changed since the last accepted size are
added as expected bytes, as `estimate` does.";

/// Prints the history of a size.
///
/// # Errors
/// Invalid arguments, a lock without history; with `--build`, no engine, or commits that do not build.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    size_history::remove_leftovers(context)?;
    let manifest = builds::manifest(context)?;
    let names = [args.service.clone()];
    let services = args::services(&manifest, &names)?;
    let [service] = services.as_slice() else {
        return Err(Failure::usage("name one service").into());
    };
    let platform = args.platform.as_deref().map(|text| parse::<Platform>(text, "--platform")).transpose()?;
    let request = HistoryRequest {
        service,
        edition: args::edition(&manifest, args.edition.as_deref())?,
        platform: platform.map(|platform| platform.to_string()),
        commit: args.commit.clone(),
        tag: args::tag(&manifest, args.tag.as_deref())?,
    };
    let mut history = size_history::read(&request, &manifest, context)?;
    if args.build {
        size_history::find_commit(&mut history, &manifest.project, context)?;
    }
    context.terminal.print(args.format.of(&SizeHistoryView { history: &history, top: args.top })?);
    Ok(())
}
