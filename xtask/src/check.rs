//! Subcommand: `cargo xtask check`.

use host::failure::Failure;
use std::time::SystemTime;

use anyhow::{Result, bail};

use crate::args;
use crate::args::{FleetArgs, Format, ServicesArgs};
use build::fleet;
use check::report::Report;
use check::{Acceptance, Wanted};
use engine::context::Context;
use engine::environment::require_engine;
use model::reader;

/// Hold images against targets, baselines, their editions' declaration, and what no image may lack or hold
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    services: ServicesArgs,
    /// simple, community, enterprise or all [default: $SUTRA_EDITION, else simple]
    #[arg(long)]
    edition: Option<String>,
    /// Tag to look at [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write what was measured into the lock, for rows that are broken, and for no other
    #[arg(long, requires = "reason")]
    accept: bool,
    /// Why that is right; it stands in the lock
    #[arg(long, value_name = "TEXT", requires = "accept")]
    reason: Option<String>,
    #[command(flatten)]
    fleet: FleetArgs,
}

const HELP: &str = "Examples:
  cargo xtask check                                     the default edition
  cargo xtask check --edition all --format markdown     every edition, for a pull request
  cargo xtask check --changed-since origin/main         what this branch changed, and no other service
  cargo xtask check api --accept --reason \"pydantic 3\"  say yes to a size that grew

A breach, and exit code 1:
  an image that is not there, or above the guide's target
  own or base layers above their baseline (xtask/sizes.lock.toml) by more than the step limit (images.toml, [baselines]);
  a baseline that is missing, or belongs to nothing
  editions that do not differ as declared, a build argument that is not read
  a library, interpreter, program or licence that was pruned and is needed
  a private key, a token, or a secret of this environment in any layer, in history or configuration
  an image that runs as root
A goal that is missed, and an image that became smaller than its baseline, are noted.";

/// Runs it.
///
/// # Errors
/// Wrong words, a lock that cannot be read, no engine that answers, a breach.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let wanted = Wanted {
        services: args.services.resolve(&manifest, context)?,
        editions: args::editions(args.edition.as_deref())?,
        tag: args::tag(args.tag.as_deref())?,
    };
    let (acceptance, since) = (acceptance(args)?, args.fleet.since()?);
    require_engine(context)?;
    let mut report = check::check(&manifest, &wanted, acceptance.as_ref(), context)?;
    if args.fleet.is_wanted() {
        for &edition in &wanted.editions {
            let (services, tag) = (&wanted.services, &wanted.tag);
            report.fleet.push(fleet::measure::measure(
                &manifest,
                services,
                edition,
                tag,
                since.as_ref(),
                context,
            )?);
        }
    }
    tell(&report, args.format, context)
}

/// Prints a report.
///
/// # Errors
/// When it holds a breach.
pub(super) fn tell(report: &Report, format: Format, context: &Context) -> Result<()> {
    match format {
        Format::Table => print!("{}", check::text::text(report)),
        Format::Markdown => print!("{}", check::text::markdown(report)),
        Format::Json => print!("{}", check::text::json(report)?),
    }
    check::text::annotations(report).iter().for_each(|line| context.terminal.annotate(line));
    match report.breaches.len() {
        0 => Ok(()),
        1 => bail!("1 breach, as told above"),
        count => bail!("{count} breaches, as told above"),
    }
}

fn acceptance(args: &Args) -> Result<Option<Acceptance>> {
    let Some(reason) = args.reason.as_deref().filter(|_| args.accept) else { return Ok(None) };
    if reason.trim().is_empty() {
        bail!(Failure::usage(
            "--reason: say in words why the new sizes are right; whoever reads the lock will ask"
        ));
    }
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let day = now.split('T').next().unwrap_or(&now).to_owned();
    Ok(Some(Acceptance { reason: reason.to_owned(), day }))
}
