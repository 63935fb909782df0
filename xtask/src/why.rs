//! Subcommand: `cargo xtask why`.

use anyhow::Result;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;

use crate::args::{self, Format};
use crate::image_args::{self, ServiceImageArgs};
use crate::image_sources::PlatformArgs;
use crate::images_from::ImagesFrom;
use contents::difference_view::DifferenceView;
use contents::sources::compare;
use engine::context::Context;
use model::variant::Variant;

/// Explain the size difference between two images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A service, an image in the engine or a registry, a `docker save` archive (`-` for stdin), or an OCI layout
    #[arg(value_name = "SERVICE|IMAGE|PATH")]
    first: String,
    /// Second image [default for a service: compare its original with its optimized image]
    #[arg(value_name = "SERVICE|IMAGE|PATH")]
    second: Option<String>,
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
}

const EXAMPLES: &str = "Examples:
  # Compare the original and the optimized image of a service
  cargo xtask why embedding
  # See what an edition adds
  cargo xtask why hybrid:latest-simple hybrid:latest-enterprise
  # Compare an archive with an image in its registry
  cargo xtask why nginx.tar registry:nginx:1.26
  # Compare a service's images in a registry
  cargo xtask why api --registry hub.example/t
  # For a pull request
  cargo xtask why api --format markdown";

/// Compares two images and prints their difference.
///
/// # Errors
/// Invalid arguments, a missing or damaged image, or an unreachable engine or registry.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = args::manifest_if_any(context)?;
    let (manifest, platform) = (manifest.as_ref(), args.platform.resolve()?);
    let context = &args.images.context(platform.as_ref(), context)?;
    let services = manifest.map(|manifest| manifest.services.as_slice()).unwrap_or_default();
    let is_service = |name: &str| services.iter().any(|service| service.name == name);
    let has_twin = |name: &str| services.iter().any(|service| service.name == name && service.has_twin());
    let has_service = is_service(&args.first) || args.second.as_deref().is_some_and(is_service);
    let is_stdin = |name: &str| name == "-" || name.starts_with("-:");
    if is_stdin(&args.first) && args.second.as_deref().is_some_and(is_stdin) {
        return Err(Failure::usage(
            "`-` can be used for only one of the two images: standard input holds one archive",
        )
        .into());
    }
    let find = |name: &str, variant| {
        // Options are for the service: a reference beside it is complete in itself.
        let applies = is_service(name) || !has_service;
        let service = if applies { args.service.clone() } else { ServiceImageArgs::default() };
        image_args::find(manifest, name, variant, &service, platform.as_ref(), context)
    };
    let [first, second] = match &args.second {
        Some(second) => [find(&args.first, None)?, find(second, None)?],
        None if has_service && !has_twin(&args.first) => {
            let what = format!("`{0}` has one build and no original to compare its image with", args.first);
            let remedy =
                format!("name another image, such as an earlier tag: {PROGRAM} why IMAGE:TAG {}", args.first);
            return Err(Failure::new(FailureClass::Usage, what, remedy).into());
        }
        None if has_service => {
            [find(&args.first, Some(Variant::Original))?, find(&args.first, Some(Variant::Optimized))?]
        }
        None => {
            let what = format!("`{}` is not a service: name a second image to compare it with", args.first);
            return Err(Failure::usage(what).into());
        }
    };
    let difference = compare([&first, &second], manifest, context)?;
    context.terminal.print(args.format.of(&DifferenceView { difference: &difference, top: args.top })?);
    Ok(())
}
