//! Subcommand: `cargo xtask release-check`.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::args::{self, Format};
use engine::builds;
use engine::context::Context;
use host::failure::Failure;
use model::manifest::Manifest;
use model::names::Unknown;
use release::checklist::report::Cadence;
use release::checklist::request::ChecklistRequest;
use release::checklist::{self, LIST};

/// Run the release, weekly, monthly or quarterly checklist
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Checklist: release, weekly, monthly or quarterly
    #[arg(long, default_value = "release")]
    cadence: String,
    /// Run only these items, from any checklist
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "cadence")]
    only: Vec<String>,
    /// Skip this item; repeatable, each with its own --reason or all with one
    #[arg(long, value_name = "NAME", requires = "reason")]
    skip: Vec<String>,
    /// Why the item is skipped; shown in the report
    #[arg(long, value_name = "TEXT", requires = "skip")]
    reason: Vec<String>,
    /// simple, community, enterprise or all
    #[arg(long, default_value = "all")]
    edition: String,
    /// Tag of the images [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const HELP: &str = "Examples:
  # Before releasing 1.2.0
  cargo xtask release-check --tag 1.2.0
  # Skip an item, with the reason
  cargo xtask release-check --skip digests --reason \"no registry here\"
  # Check selected items
  cargo xtask release-check --only labels,tree
  # New opportunities to shrink images
  cargo xtask release-check --cadence weekly
  # Newer base images and packages
  cargo xtask release-check --cadence monthly
  # Unused or outdated requirements
  cargo xtask release-check --cadence quarterly

Items:
  release    targets, baselines, editions, pruned, secrets, user
             (from the record of `check` for each edition)
             smoke, parity (from the record of `test --parity=recorded`)
             labels, digests, compose, tree, changelog
  weekly     opportunities
  monthly    bases
  quarterly  requirements

A saved record is reused if commit, uncommitted changes and images are
unchanged; otherwise the check runs again. All items run before the command
fails: with 1 when an item failed, with 3 when items are
unknown only because of the environment.";

/// Runs a checklist and prints its report.
///
/// # Errors
/// A wrong command line; or the names of the items that failed or could not be checked.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let request = request(args, &manifest)?;
    let report = checklist::run(&manifest, &request, context)?;
    context.terminal.print(args.format.of(&report)?);
    let (failed, unknown) = (report.failed(), report.unknown());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    if !unknown.is_empty() {
        let what = format!("could not check: {}", unknown.join(", "));
        bail!(Failure::machine(what, "fix the environment as described above, then run again"));
    }
    Ok(())
}

fn request(args: &Args, manifest: &Manifest) -> Result<ChecklistRequest> {
    let names = || LIST.iter().map(|item| item.name);
    if let Some(name) = args.only.iter().chain(&args.skip).find(|given| names().all(|name| name != *given)) {
        bail!(Failure::from(Unknown::new("item", name, names())));
    }
    let request = ChecklistRequest {
        cadence: args.cadence.parse::<Cadence>().map_err(Failure::from)?,
        only: args.only.clone(),
        skip: skipped(args)?,
        editions: args::editions_by_default_all(manifest, &args.edition)?,
        tag: args::tag(manifest, args.tag.as_deref())?,
    };
    let listed: Vec<&str> = checklist::items(&request).map(|item| item.name).collect();
    if let Some(name) = args.skip.iter().find(|name| !listed.contains(&name.as_str())) {
        bail!(Failure::usage(format!("--skip {name}: not among the items to run ({})", listed.join(", "))));
    }
    Ok(request)
}

/// The skipped items, each with its own reason or the only one.
fn skipped(args: &Args) -> Result<BTreeMap<String, String>> {
    if args.reason.iter().any(|reason| reason.trim().is_empty()) {
        bail!(Failure::usage("--reason is empty: say why the item is skipped"));
    }
    let reasons: Vec<&String> = match args.reason.as_slice() {
        [one] => vec![one; args.skip.len()],
        several => several.iter().collect(),
    };
    if reasons.len() != args.skip.len() {
        let (skips, reasons) = (args.skip.len(), reasons.len());
        bail!(Failure::usage(format!(
            "{reasons} reasons for {skips} skipped items: give one reason, or one for each"
        )));
    }
    Ok(args.skip.iter().cloned().zip(reasons.into_iter().cloned()).collect())
}
