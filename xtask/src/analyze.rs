//! Subcommand: `cargo xtask analyze`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::args::{self, Format};
use crate::image_args::{self, OneVariant, ServiceImageArgs};
use crate::image_sources::PlatformArgs;
use crate::images_from::ImagesFrom;
use contents::contents_view::ContentsView;
use contents::image::ImageSource;
use contents::record::{Contents, short_digest};
use contents::sbom;
use contents::sources::analyze_source;
use contents::use_shares::ImageUse;
use contents::use_view::UseView;
use contents::used::{FoundUse, UseRecord};
use engine::context::Context;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use host::render;

/// Explain every byte of an image: layers, owners, waste, opportunities
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A service, an image in the engine or a registry, a `docker save` archive (`-` for stdin), or an OCI layout
    #[arg(value_name = "SERVICE|IMAGE|PATH")]
    image: String,
    /// Variant of a service's image [default: optimized]
    #[arg(long, value_enum)]
    variant: Option<OneVariant>,
    #[command(flatten)]
    service: ServiceImageArgs,
    #[command(flatten)]
    images: ImagesFrom,
    #[command(flatten)]
    platform: PlatformArgs,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Maximum rows of a table; JSON is complete
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Also write a bill of materials (CycloneDX 1.6, JSON) to this file; `-` prints it instead of the analysis
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Show how much of it was opened during `trace`, by owner
    #[arg(long, conflicts_with = "sbom")]
    used: bool,
}

const EXAMPLES: &str = "Examples:
  # Analyze the optimized image of a service
  cargo xtask analyze api
  # Analyze the original, with longer tables
  cargo xtask analyze api --variant original --top 50
  # Analyze any image: of the engine, else of its registry
  cargo xtask analyze debian:trixie-slim
  # Analyze the image for another platform in its registry
  cargo xtask analyze registry:debian:trixie-slim --platform linux/arm64
  # Analyze a service's image in a registry
  cargo xtask analyze api --registry hub.example/t
  # Analyze an archive of `docker save`, or an OCI layout
  cargo xtask analyze debian.tar
  # Write a bill of materials (CycloneDX) too
  cargo xtask analyze api --sbom api.cdx.json
  # Show which of its bytes are used, after `trace api`
  cargo xtask analyze api --used";

/// Analyzes an image and prints its record.
///
/// # Errors
/// Invalid arguments, a missing or damaged image, or an unreachable engine or registry.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = args::manifest_if_any(context)?;
    let manifest = manifest.as_ref();
    let (variant, platform) = (args.variant.map(OneVariant::resolve), args.platform.resolve()?);
    let context = &args.images.context(platform.as_ref(), context)?;
    let source = image_args::find(manifest, &args.image, variant, &args.service, platform.as_ref(), context)?;
    if args.used {
        return print_use(&source, args, context);
    }
    let contents = analyze_source(&source, manifest, context)?;
    if let Some(file) = &args.sbom {
        let project = manifest.map_or("images", |manifest| &manifest.project);
        write_sbom(&contents, project, file, context)?;
        if context.terminal.is_stdout(file) {
            return Ok(());
        }
    }
    context.terminal.print(args.format.of(&ContentsView { contents: &contents, top: args.top })?);
    Ok(())
}

fn write_sbom(contents: &Contents, project: &str, file: &Path, context: &Context) -> Result<()> {
    let json = render::json(&sbom::cyclonedx(contents, project))?;
    context.terminal.write_file(file, json.as_bytes())?;
    context.terminal.say(format!("bill of materials: {}", file.display()));
    Ok(())
}

/// Prints what `trace` recorded of an image.
fn print_use(source: &ImageSource, args: &Args, context: &Context) -> Result<()> {
    let ImageSource::Engine(image) = source else {
        bail!(Failure::usage("--used needs an image in the engine: `trace` runs only these"));
    };
    let what = match UseRecord::find(&image.reference, &image.image.id, &context.repository) {
        FoundUse::Current(record) => {
            let usage = ImageUse::of(&record);
            context.terminal.print(args.format.of(&UseView { usage: &usage, top: args.top })?);
            return Ok(());
        }
        FoundUse::Stale(record) => {
            let (old, new) = (short_digest(&record.id), short_digest(&image.image.id));
            format!("the trace of {} is stale: it is of another image ({old}, now {new})", image.reference)
        }
        FoundUse::Missing => format!("{} was not traced", image.reference),
    };
    let options = [
        ("--variant", args.variant.map(|variant| variant.resolve().to_string())),
        ("--edition", args.service.edition.clone()),
        ("--tag", args.service.tag.clone()),
    ];
    let options = options.into_iter().filter_map(|(name, value)| Some(format!(" {name} {}", value?)));
    let remedy = format!("{PROGRAM} trace {}{}", args.image, options.collect::<String>());
    Err(Failure::new(FailureClass::Failed, what, remedy).into())
}
