//! Subcommand: `cargo xtask vulnerabilities`.

use host::program::PROGRAM;
use std::collections::BTreeMap;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::args::{self, Format, PlatformChoice, ServicesArgs};
use check::vulnerabilities::report::VulnerabilityReport;
use check::vulnerabilities::severity::{FailOn, Severity};
use check::vulnerabilities::source::SourceName;
use check::vulnerabilities::{self, VulnerabilityRequest};
use engine::context::Context;
use engine::environment::require_engine;
use host::failure::{Failure, FailureClass};

/// List known vulnerabilities of the packages and crates in images
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    #[command(flatten)]
    services: ServicesArgs,
    /// An edition, or all [default: $SUTRA_EDITION, else the first]
    #[arg(long)]
    edition: Option<String>,
    /// Tag of the images [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    platform: PlatformChoice,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Fail if a fix exists for a vulnerability of this severity or more, or of an unknown one
    #[arg(long, value_enum, value_name = "SEVERITY", default_value = "low")]
    fail_on: FailOnChoice,
    /// Ask a source elsewhere: a mirror's URL, or a file or folder for debian-tracker and rustsec
    #[arg(long, value_name = "NAME=URL|PATH")]
    source: Vec<String>,
    /// Exit with 0 although a source did not answer; the report still says so
    #[arg(long)]
    allow_gaps: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOnChoice {
    /// Everything but remarks
    Low,
    Medium,
    High,
    Critical,
    Never,
}

impl FailOnChoice {
    fn resolve(self) -> FailOn {
        match self {
            FailOnChoice::Low => FailOn::Least(Severity::Low),
            FailOnChoice::Medium => FailOn::Least(Severity::Medium),
            FailOnChoice::High => FailOn::Least(Severity::High),
            FailOnChoice::Critical => FailOn::Least(Severity::Critical),
            FailOnChoice::Never => FailOn::Never,
        }
    }
}

const HELP: &str = "Examples:
  # Report the default edition
  cargo xtask vulnerabilities
  # Report all editions of two services, for a scheduled job
  cargo xtask vulnerabilities api client --edition all --format markdown
  # Fail only if a vulnerability has a fix and is severe, or not rated
  cargo xtask vulnerabilities --fail-on high
  # Use a checkout of RustSec's database
  cargo xtask vulnerabilities --source rustsec=../advisory-db

Sources: debian-tracker, debian-archive (apt, in a build), rustsec, pypi (pip's
index), npm (npm's registry).

Exit codes: 1 if a fix exists, or an image names nothing that a source knows;
3 if a source did not answer, so that vulnerabilities may be missing.";

/// Prints the report.
///
/// # Errors
/// Invalid arguments, no engine, a missing image, a fixable vulnerability, a gap.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = args.platform.manifest(context)?;
    let request = VulnerabilityRequest {
        services: args.services.resolve(&manifest, context)?,
        editions: args::editions(&manifest, args.edition.as_deref())?,
        tag: args::tag(&manifest, args.tag.as_deref())?,
        locations: locations(&args.source)?,
        fail_on: args.fail_on.resolve(),
    };
    if request.services.is_empty() {
        context.terminal.say("Nothing to report.");
        return Ok(());
    }
    require_engine(context)?;
    let report = vulnerabilities::report(&manifest, &request, context)?;
    context.terminal.print(args.format.of(&report)?);
    verdict(&report, args.allow_gaps)
}

fn verdict(report: &VulnerabilityReport, allow_gaps: bool) -> Result<()> {
    let unknown = report.unknown_images();
    if !unknown.is_empty() {
        let help = "build Rust programs with cargo-auditable, and keep dpkg's status.d and *.dist-info";
        bail!("nothing to ask sources about in {}\nhelp: {help}", unknown.join(", "));
    }
    let help = format!(
        "{PROGRAM} build-images --refresh gets Debian's fixes; update other versions in their lock files"
    );
    match report.failures().len() {
        0 => {}
        1 => bail!("1 vulnerability has a fix, see above\nhelp: {help}"),
        count => bail!("{count} vulnerabilities have a fix, see above\nhelp: {help}"),
    }
    let gaps: Vec<&str> = report.gaps().iter().map(|gap| gap.source.name()).collect();
    if gaps.is_empty() || allow_gaps {
        return Ok(());
    }
    let what = format!("incomplete: no current answer from {}, see above", gaps.join(", "));
    let help = "fix the network, or give a mirror or copy with --source; --allow-gaps accepts the gap";
    Err(Failure::new(FailureClass::Network, what, help).into())
}

/// `NAME=LOCATION` of each `--source`.
fn locations(given: &[String]) -> Result<BTreeMap<SourceName, String>> {
    let mut found = BTreeMap::new();
    for text in given {
        let (name, location) = text.split_once('=').unwrap_or((text, ""));
        let known = || SourceName::ALL.into_iter().filter(|source| source.can_be_elsewhere());
        let Some(source) = known().find(|source| source.name() == name) else {
            let names: Vec<&str> = known().map(SourceName::name).collect();
            bail!(Failure::usage(format!("--source: unknown source `{name}`; known: {}", names.join(", "))));
        };
        let is_url = location.starts_with("https://") || location.starts_with("http://");
        let is_path = source.takes_files() && !location.is_empty() && !location.contains("://");
        if !is_url && !is_path {
            let forms = if source.takes_files() { "a URL or a path" } else { "a URL" };
            bail!(Failure::usage(format!("--source {name}: `{location}` is not {forms}")));
        }
        let host = location.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if host.contains('@') {
            bail!(Failure::usage(format!(
                "--source {name}: put the password into ~/.netrc, not into the URL"
            )));
        }
        if found.insert(source, location.trim_end_matches('/').to_owned()).is_some() {
            bail!(Failure::usage(format!("--source {name} is given twice")));
        }
    }
    Ok(found)
}
