//! Subcommand: `cargo xtask push`.

use anyhow::{Result, bail};
use host::failure::Failure;

use crate::args;
use crate::args::{Format, VariantChoice};
use build::plan::Request;
use build::push::report::{Report, State};
use build::push::{plan, run};
use engine::context::Context;
use engine::environment::require_engine;
use model::image_ref::Registry;
use model::reader;

/// Push images that are built to a private registry, and keep their digests
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services whose images to push; none means all
    services: Vec<String>,
    /// Where to, HOST[:PORT][/PATH] [default: $SUTRA_REGISTRY]
    #[arg(long)]
    registry: Option<String>,
    /// simple, community, enterprise or all [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Which images
    #[arg(long, value_enum, default_value = "optimized")]
    variant: VariantChoice,
    /// Tag; edition and variant are appended [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Push at most so many images at once
    #[arg(long, default_value_t = run::JOBS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    jobs: u32,
    /// Print what would be pushed, and push nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  cargo xtask push --registry registry.company.com/team
                                                        every optimized image; again after a failure: nothing is sent twice
  cargo xtask push --registry 127.0.0.1:5000 --dry-run  what would be pushed
  cargo xtask push api --edition all --tag 1.1 --registry registry.company.com/team
                                                        one service, every edition";

/// Runs it.
///
/// # Errors
/// Wrong words, images that are not there, or a registry that does not take them.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let request = Request {
        services: args::services(&manifest, &args.services)?,
        editions: args::editions(args.edition.as_deref())?,
        variants: args.variant.resolve(),
        tag: args::tag(args.tag.as_deref())?,
        default_edition: args::default_edition()?,
    };
    let registry = needed(args::registry(args.registry.as_deref())?, "push", "nothing was pushed")?;
    require_engine(context)?;
    let wanted = plan::requested(&request);
    let report = if args.dry_run {
        run::planned(&run::look(&wanted, &request.tag, &registry, context)?)
    } else {
        run::push(&wanted, &request.tag, &registry, args.jobs as usize, context)?
    };
    match args.format {
        Format::Table => print!("{}", build::push::text::text(&report)),
        Format::Markdown => print!("{}", build::push::text::markdown(&report)),
        Format::Json => print!("{}", build::push::text::json(&report)?),
    }
    judge(&report)
}

/// The registry to push to; there must be one before anything is done.
///
/// # Errors
/// When there is none.
pub(super) fn needed(registry: Option<Registry>, who: &str, so: &str) -> Result<Registry> {
    registry.ok_or_else(|| {
        Failure::usage(format!(
            "{who} needs a registry: add --registry HOST[:PORT][/PATH] or set SUTRA_REGISTRY; {so}"
        ))
        .into()
    })
}

/// Fails once with all that failed. A registry that does not answer or lets nobody in is the environment's fault.
///
/// # Errors
/// When a tag was not pushed.
pub(super) fn judge(report: &Report) -> Result<()> {
    let failed: Vec<String> = report
        .failures()
        .map(|(row, failure)| {
            format!("cannot push {}: {}\nhelp: {}", row.reference, failure.said, failure.remedy)
        })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let not_tried = report.images.iter().filter(|row| row.state == State::NotTried).count();
    let mut text = failed.join("\n");
    if not_tried > 0 {
        text.push_str(&format!("\nnot tried after that: {not_tried} more"));
    }
    if report.failures().all(|(_, failure)| failure.environment) {
        return Err(Failure::machine(text, "").into());
    }
    bail!("{text}")
}
