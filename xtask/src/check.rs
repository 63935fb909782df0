//! Subcommand: `cargo xtask check`.

use std::time::SystemTime;

use anyhow::{Result, bail};

use crate::args::{self, FleetArgs, Format, PlatformChoice, ServicesArgs};
use crate::images_from::ImagesFrom;
use build::fleet;
use check::guard::{self, CheckRequest};
use check::lock::Acceptance;
use check::report::CheckReport;
use engine::context::Context;
use host::failure::Failure;

/// Check images against size limits, baselines and safety rules
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    services: ServicesArgs,
    /// An edition, or all [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Tag to check [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    images: ImagesFrom,
    #[command(flatten)]
    platform: PlatformChoice,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Accept the measured sizes as new baselines, for images with baseline findings only
    #[arg(long, requires = "reason")]
    accept: bool,
    /// Reason for the new sizes; recorded in the lock file
    #[arg(long, value_name = "TEXT", requires = "accept")]
    reason: Option<String>,
    /// Report growth over baselines as a note with this reason, for a pull request; other breaches still fail the check
    #[arg(long, value_name = "REASON", conflicts_with = "accept")]
    allow_growth: Option<String>,
    #[command(flatten)]
    fleet: FleetArgs,
}

const HELP: &str = "Examples:
  # Check the default edition
  cargo xtask check
  # Check every edition, for a pull request
  cargo xtask check --edition all --format markdown
  # Check only services that this branch changed
  cargo xtask check --changed-since origin/main
  # Check the images in a registry, without an engine
  cargo xtask check --registry hub.example/t
  # Accept a new size as the baseline
  cargo xtask check api --accept --reason \"pydantic 3\"

Breaches (exit code 1):
- an image that is missing, or larger than its target
- own or base layers larger than their baseline (xtask/sizes.lock.toml)
  by more than the step limit ([baselines] in images.toml)
- a missing baseline, or one of an undeclared service or edition
- editions that do not differ as declared, an unused build argument
- a pruned library, interpreter, program or licence that is still needed
- a private key, a token or a secret of this environment in any layer, the
  history, the configuration or a file that git tracks
- a literal secret in a Compose file, Dockerfile, script or .env example
- an image that runs as root

Missed goals and images smaller than their baseline are notes.";

/// Checks the images and prints the report.
///
/// # Errors
/// Invalid arguments, an unreadable lock, no engine, a breach.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = args.platform.manifest(context)?;
    let request = CheckRequest {
        services: args.services.resolve(&manifest, context)?,
        editions: args::editions(&manifest, args.edition.as_deref())?,
        tag: args::tag(&manifest, args.tag.as_deref())?,
        allowed_growth: args.allow_growth.clone(),
    };
    if args.allow_growth.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
        bail!(Failure::usage("--allow-growth is empty: state who allows the growth, or why"));
    }
    let (acceptance, since) = (acceptance(args)?, args.fleet.since()?);
    args.images.require_engine(context)?;
    let context = &args.images.context(args.platform.platform()?.as_ref(), context)?;
    let mut report = guard::check(&manifest, &request, acceptance.as_ref(), context)?;
    if args.fleet.is_wanted() {
        for &edition in &request.editions {
            let (services, tag) = (&request.services, &request.tag);
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
    print(&report, args.format, context)
}

/// Prints a report.
///
/// # Errors
/// When it has breaches.
pub(super) fn print(report: &CheckReport, format: Format, context: &Context) -> Result<()> {
    context.terminal.print(format.of(report)?);
    report.annotations().iter().for_each(|line| context.terminal.annotate(line));
    match report.breaches.len() {
        0 => Ok(()),
        1 => bail!("1 breach, see above"),
        count => bail!("{count} breaches, see above"),
    }
}

fn acceptance(args: &Args) -> Result<Option<Acceptance>> {
    let Some(reason) = args.reason.as_deref().filter(|_| args.accept) else { return Ok(None) };
    if reason.trim().is_empty() {
        bail!(Failure::usage("--reason is empty: state why the new sizes are right"));
    }
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let day = now.split('T').next().unwrap_or(&now).to_owned();
    Ok(Some(Acceptance { reason: reason.to_owned(), day }))
}
