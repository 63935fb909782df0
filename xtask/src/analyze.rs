//! Subcommand: `cargo xtask analyze`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::args::Format;
use crate::image_args;
use crate::image_args::{OneVariant, Which};
use contents::record::Contents;
use contents::sbom;
use engine::context::Context;
use host::files;
use model::reader;

/// Explain every byte of an image: layers, owners, waste, opportunities
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A service, or any image in the engine
    #[arg(value_name = "SERVICE|IMAGE")]
    image: String,
    /// Which of a service's images [default: optimized]
    #[arg(long, value_enum)]
    variant: Option<OneVariant>,
    #[command(flatten)]
    which: Which,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// How many rows a table has at most; JSON holds more
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Also write a bill of materials (CycloneDX 1.6, JSON) to this file
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  cargo xtask analyze api                              whose the bytes of the optimized image are, and what could go
  cargo xtask analyze api --variant original --top 50  the same of the original, with longer tables
  cargo xtask analyze debian:trixie-slim               any image that the engine has
  cargo xtask analyze api --sbom api.cdx.json          and its bill of materials";

/// Runs it.
///
/// # Errors
/// Wrong words, no such image, no engine that answers, a damaged image.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let variant = args.variant.map(OneVariant::resolve);
    let asked = image_args::find(&manifest, &args.image, variant, &args.which, context)?;
    for contents in contents::analyze(&[asked], &manifest, context)? {
        if let Some(file) = &args.sbom {
            write_sbom(&contents, &manifest.project, file, context)?;
        }
        match args.format {
            Format::Table => print!("{}", contents::text::text(&contents, args.top)),
            Format::Markdown => print!("{}", contents::text::markdown(&contents, args.top)),
            Format::Json => print!("{}", contents::text::json(&contents)?),
        }
    }
    Ok(())
}

fn write_sbom(contents: &Contents, project: &str, file: &Path, context: &Context) -> Result<()> {
    let path = std::path::absolute(file).with_context(|| format!("cannot resolve {}", file.display()))?;
    let json = contents::text::json(&sbom::cyclonedx(contents, project))?;
    files::write_atomically(&path, json.as_bytes())?;
    context.terminal.say(format!("bill of materials: {}", file.display()));
    Ok(())
}
