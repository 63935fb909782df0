//! Subcommand: `cargo xtask analyze`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::args::Format;
use crate::image_args::{self, OneVariant, ServiceImageArgs};
use contents::analysis::analyze;
use contents::contents_view::ContentsView;
use contents::record::Contents;
use contents::sbom;
use engine::builds;
use engine::context::Context;
use host::render;

/// Explain every byte of an image: layers, owners, waste, opportunities
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A service, or any image in the engine
    #[arg(value_name = "SERVICE|IMAGE")]
    image: String,
    /// Variant of a service's image [default: optimized]
    #[arg(long, value_enum)]
    variant: Option<OneVariant>,
    #[command(flatten)]
    service: ServiceImageArgs,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum rows of a table; JSON is complete
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Also write a bill of materials (CycloneDX 1.6, JSON) to this file; `-` prints it instead of the analysis
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  # Analyze the optimized image of a service
  cargo xtask analyze api
  # Analyze the original, with longer tables
  cargo xtask analyze api --variant original --top 50
  # Analyze any image in the engine
  cargo xtask analyze debian:trixie-slim
  # Write a bill of materials (CycloneDX) too
  cargo xtask analyze api --sbom api.cdx.json";

/// Analyzes an image and prints its record.
///
/// # Errors
/// Invalid arguments, a missing or damaged image, no engine.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let variant = args.variant.map(OneVariant::resolve);
    let image = image_args::find(&manifest, &args.image, variant, &args.service, context)?;
    for contents in analyze(&[image], &manifest, context)? {
        if let Some(file) = &args.sbom {
            write_sbom(&contents, &manifest.project, file, context)?;
            if context.terminal.is_stdout(file) {
                continue;
            }
        }
        context.terminal.print(args.format.of(&ContentsView { contents: &contents, top: args.top })?);
    }
    Ok(())
}

fn write_sbom(contents: &Contents, project: &str, file: &Path, context: &Context) -> Result<()> {
    let json = render::json(&sbom::cyclonedx(contents, project))?;
    context.terminal.write_file(file, json.as_bytes())?;
    context.terminal.say(format!("bill of materials: {}", file.display()));
    Ok(())
}
