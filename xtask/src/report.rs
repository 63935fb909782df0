//! Subcommand: `cargo xtask report`.

use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;

use crate::args;
use engine::builds;
use engine::context::Context;
use host::printable::{self, printable};
use host::render::Render;
use model::edition::Edition;
use release::report;

/// Write a report page: sizes, contents, measurements, checks, probes and parity
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// simple, community, enterprise or all; benefits are shown for the first
    #[arg(long, default_value = "all")]
    edition: String,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "html")]
    format: FormatChoice,
    /// Output file; `-` is standard output [default: target/xtask/report.html for html, else -]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  # Write target/xtask/report.html, one self-contained file
  cargo xtask report
  # For a pull request or a job summary
  cargo xtask report --format markdown
  # One edition, to another file
  cargo xtask report --edition simple -o sizes.html

Reads only the records that `compare`, `check`, `test`, `measure` and `trace`
save. Missing and stale records are shown with the command that renews them.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatChoice {
    /// A self-contained page
    Html,
    /// A summary for a pull request
    Markdown,
    /// For programs
    Json,
}

/// Gathers the report and writes it.
///
/// # Errors
/// A wrong command line, an unreadable record or lock, an unwritable file.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let editions: Vec<Edition> = args::editions_by_default_all(&manifest, &args.edition)?;
    let tag = args::tag(&manifest, args.tag.as_deref())?;
    let report = report::gather(&manifest, &editions, &tag, context)?;
    let text = match args.format {
        FormatChoice::Html => release::report::render::html(&report),
        FormatChoice::Markdown => printable(&report.markdown()),
        FormatChoice::Json => printable::json(&report.json()?),
    };
    let path = match (&args.output, args.format) {
        (Some(path), _) => path.clone(),
        (None, FormatChoice::Html) => context.repository.report(),
        (None, _) => PathBuf::from("-"),
    };
    context.terminal.write_file(&path, text.as_bytes())?;
    if !context.terminal.is_stdout(&path) {
        context.terminal.print(format!("{}\n", path.display()));
    }
    Ok(())
}
