//! Subcommand: `cargo xtask why`.

use anyhow::Result;
use host::failure::{Failure, FailureClass};

use crate::args::Format;
use crate::image_args::{self, ServiceImageArgs};
use contents::analysis::{analyze, difference};
use contents::difference_view::DifferenceView;
use engine::builds;
use engine::context::Context;
use host::program::PROGRAM;
use model::variant::Variant;

/// Explain the size difference between two images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A service, or any image in the engine
    #[arg(value_name = "SERVICE|IMAGE")]
    first: String,
    /// Second image [default for a service: compare its original with its optimized image]
    #[arg(value_name = "SERVICE|IMAGE")]
    second: Option<String>,
    #[command(flatten)]
    service: ServiceImageArgs,
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
  # For a pull request
  cargo xtask why api --format markdown";

/// Compares two images and prints their difference.
///
/// # Errors
/// Invalid arguments, a missing or damaged image, no engine.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let is_service = |name: &str| manifest.services.iter().any(|service| service.name == name);
    let has_twin =
        |name: &str| manifest.services.iter().any(|service| service.name == name && service.has_twin());
    let has_service = is_service(&args.first) || args.second.as_deref().is_some_and(is_service);
    let find = |name: &str, variant| {
        // Options are for the service: a reference beside it is complete in itself.
        let applies = is_service(name) || !has_service;
        let service = if applies { args.service.clone() } else { ServiceImageArgs::default() };
        image_args::find(&manifest, name, variant, &service, context)
    };
    let images = match &args.second {
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
    let contents = analyze(&images, &manifest, context)?;
    let [before, after] = contents.as_slice() else { return Ok(()) };
    let difference = difference(&images, [before, after], context)?;
    context.terminal.print(args.format.of(&DifferenceView { difference: &difference, top: args.top })?);
    Ok(())
}
