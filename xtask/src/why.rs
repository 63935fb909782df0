//! Subcommand: `cargo xtask why`.

use anyhow::Result;
use host::failure::Failure;

use crate::args::Format;
use crate::image_args;
use crate::image_args::Which;
use contents::difference::Difference;
use engine::context::Context;
use model::reader;
use model::variant::Variant;

/// Say what an image has that another has not, by owner and by line
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A service, or any image in the engine
    #[arg(value_name = "SERVICE|IMAGE")]
    first: String,
    /// The image to set beside it; none means a service's original beside its optimized image
    #[arg(value_name = "SERVICE|IMAGE")]
    second: Option<String>,
    #[command(flatten)]
    which: Which,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// How many rows a table has at most; JSON holds more
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
}

const EXAMPLES: &str = "Examples:
  cargo xtask why embedding              what went between the original and the optimized image
  cargo xtask why hybrid:latest-simple-optimized hybrid:latest-enterprise-optimized
                                         what an edition brings
  cargo xtask why api --format markdown  for a pull request";

/// Runs it.
///
/// # Errors
/// Wrong words, no such image, no engine that answers, a damaged image.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let is_service = |name: &str| manifest.services.iter().any(|service| service.name == name);
    let has_service =
        [Some(&args.first), args.second.as_ref()].into_iter().flatten().any(|name| is_service(name));
    let find = |name: &str, variant| {
        // Options are for services: a reference beside a service is complete in itself.
        let which = if is_service(name) || !has_service { args.which.clone() } else { Which::default() };
        image_args::find(&manifest, name, variant, &which, context)
    };
    let asked = match &args.second {
        Some(second) => [find(&args.first, None)?, find(second, None)?],
        None if has_service => {
            [find(&args.first, Some(Variant::Original))?, find(&args.first, Some(Variant::Optimized))?]
        }
        None => {
            let told = format!(
                "`why {}` needs a second image: only a service has an original of its own",
                args.first
            );
            return Err(Failure::usage(told).into());
        }
    };
    let explained = contents::analyze(&asked, &manifest, context)?;
    let [before, after] = explained.as_slice() else { return Ok(()) };
    let difference = Difference::between(before, after);
    match args.format {
        Format::Table => print!("{}", contents::why_text::text(&difference, args.top)),
        Format::Markdown => print!("{}", contents::why_text::markdown(&difference, args.top)),
        Format::Json => print!("{}", contents::text::json(&difference)?),
    }
    Ok(())
}
