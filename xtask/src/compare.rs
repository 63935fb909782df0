//! Subcommand: `cargo xtask compare`.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::args::{self, FleetArgs, Format, PlatformChoice};
use crate::images_from::ImagesFrom;
use build::comparison::Comparison;
use build::comparison::measure;
use build::fleet;
use check::lock::Lock;
use engine::context::Context;
use engine::images::Image;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::{Manifest, Service};

/// Compare images with originals or accepted sizes, targets and goals
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services to compare [default: all]
    services: Vec<String>,
    /// An edition [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Tag to compare [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    images: ImagesFrom,
    #[command(flatten)]
    platform: PlatformChoice,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    #[command(flatten)]
    fleet: FleetArgs,
}

const EXAMPLES: &str = "Examples:
  # Compare every image with its original, target and goal
  cargo xtask compare
  # For a pull request
  cargo xtask compare --format markdown
  # Compare the images in a registry, without an engine
  cargo xtask compare --registry hub.example/t
  # Add download size and attack surface
  cargo xtask compare --fleet
  # Add the download size of an upgrade from 1.0
  cargo xtask compare --since 1.0";

/// # Errors
/// Wrong usage, or docker fails.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = args.platform.manifest(context)?;
    let services = args::services(&manifest, &args.services)?;
    let edition = args::edition(&manifest, args.edition.as_deref())?;
    let tag = args::tag(&manifest, args.tag.as_deref())?;
    args.images.require_engine(context)?;
    let context = &args.images.context(args.platform.platform()?.as_ref(), context)?;
    let mut comparison = compared(&manifest, &services, edition, &tag, None, context)?;
    let since = args.fleet.since()?;
    if args.fleet.is_wanted() {
        let since = since.as_ref();
        comparison.fleet =
            Some(fleet::measure::measure(&manifest, &services, edition, &tag, since, context)?);
    }
    context.terminal.print(args.format.of(&comparison)?);
    Ok(())
}

/// Compares images with their originals or, for services with one build, with their size in the lock. `listed`: see
/// [`measure::compare`].
///
/// # Errors
/// When docker fails, or the lock or an image cannot be read.
pub(super) fn compared(
    manifest: &Manifest,
    services: &[&Service],
    edition: Edition,
    tag: &Tag,
    listed: Option<&BTreeMap<String, Image>>,
    context: &Context,
) -> Result<Comparison> {
    let lock = Lock::load(&context.repository)?;
    let accepted = |service: &Service, platform: &str| lock.accepted(&service.name, edition, platform);
    measure::compare(manifest, services, edition, tag, &accepted, listed, context)
}
