//! Subcommand: `cargo xtask report`.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::args;
use engine::context::Context;
use host::files;
use model::edition::Edition;
use model::reader;
use release::report;

/// Show what is known of the images in one page: sizes, contents, measurements, proof
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// simple, community, enterprise or all; benefits are those of the first
    #[arg(long, default_value = "all")]
    edition: String,
    /// Tag; `latest-optimized` means `latest` [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// A page, a summary for a pull request, or what both are made from
    #[arg(long, value_enum, default_value = "html")]
    format: FormatChoice,
    /// Where to write it; `-` is standard output [default: target/xtask/report.html for a page, else -]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  cargo xtask report                        target/xtask/report.html: one file, no network
  cargo xtask report --format markdown      for a pull request, or a job summary
  cargo xtask report --edition simple -o sizes.html

Reads saved records and no image: `compare`, `check`, `test` and `measure` leave them, each with what it was made from. What is
missing, or was made from another commit, is said, with the command that makes it anew.";

/// How a report comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatChoice {
    /// One self-contained page
    Html,
    /// A short form
    Markdown,
    /// For programs
    Json,
}

/// Runs it.
///
/// # Errors
/// Wrong words, a record or the lock that cannot be read, a file that cannot be written.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let editions: Vec<Edition> = args::editions(Some(&args.edition))?;
    let tag = args::tag(args.tag.as_deref())?;
    let report = report::gather(&manifest, &editions, &tag, context)?;
    let text = match args.format {
        FormatChoice::Html => release::report::render::html(&report),
        FormatChoice::Markdown => release::report::render::markdown(&report),
        FormatChoice::Json => serde_json::to_string_pretty(&report).context("the report")? + "\n",
    };
    let to = match (&args.output, args.format) {
        (Some(path), _) => Some(path.clone()).filter(|path| path.as_os_str() != "-"),
        (None, FormatChoice::Html) => Some(context.repository.report()),
        (None, _) => None,
    };
    match to {
        None => print!("{text}"),
        Some(path) => {
            files::write_atomically(&path, text.as_bytes())?;
            println!("{}", path.display());
        }
    }
    Ok(())
}
