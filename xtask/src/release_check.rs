//! Subcommand: `cargo xtask release-check`.

use host::failure::Failure;
use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::args;
use crate::args::Format;
use engine::context::Context;
use model::names::Unknown;
use model::reader;
use release::checklist;
use release::checklist::report::Cadence;
use release::checklist::{LIST, Wanted};

/// Go through the checklist of a release, or of a week, month or quarter
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// Which list: release, weekly, monthly or quarterly
    #[arg(long, default_value = "release")]
    cadence: String,
    /// These items of any list, and no other
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "cadence")]
    only: Vec<String>,
    /// Leave these items out; may be given again, each time with its --reason
    #[arg(long, value_name = "NAME", requires = "reason")]
    skip: Vec<String>,
    /// Why that is right; it is printed
    #[arg(long, value_name = "TEXT", requires = "skip")]
    reason: Vec<String>,
    /// simple, community, enterprise or all
    #[arg(long, default_value = "all")]
    edition: String,
    /// Tag to look at [default: $SUTRA_VERSION, else latest]
    #[arg(long)]
    tag: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const HELP: &str = "Examples:
  cargo xtask release-check --tag 1.2.0                                  before 1.2.0 is announced
  cargo xtask release-check --skip digests --reason \"no registry here\"   all but one, and why
  cargo xtask release-check --only labels,tree                           some items alone
  cargo xtask release-check --cadence weekly                             what images could do without by now
  cargo xtask release-check --cadence monthly                            newer packages and bases
  cargo xtask release-check --cadence quarterly --format markdown        what editions require and do not need

Items:
  release    targets, baselines, editions, pruned, secrets, user (one record of `check` an edition)
             smoke, parity (one record of `test --parity=recorded`)
             labels, digests, compose, tree, changelog
  weekly     opportunities
  monthly    bases
  quarterly  requirements
What a record holds is used where commit, changes and images are still those that it was made from; else it is found out
anew, and why is said. Everything is gone through, then it fails once: exit code 1 when something is wrong, 3 when only the
environment keeps an answer from being found.";

/// Runs it.
///
/// # Errors
/// Wrong words; or, with the names of the items, that something is wrong or cannot be told.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let wanted = wanted(args)?;
    let manifest = reader::load(&context.repository)?;
    let report = checklist::run(&manifest, &wanted, context)?;
    match args.format {
        Format::Table => print!("{}", release::checklist::text::text(&report)),
        Format::Markdown => print!("{}", release::checklist::text::markdown(&report)),
        Format::Json => print!("{}", release::checklist::text::json(&report)?),
    }
    let (failed, unknown) = (report.failed(), report.unknown());
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    if !unknown.is_empty() {
        let what = format!("cannot tell: {}", unknown.join(", "));
        return Err(Failure::machine(what, "as said above").into());
    }
    Ok(())
}

fn wanted(args: &Args) -> Result<Wanted> {
    let known = || LIST.iter().map(|item| item.name);
    for name in args.only.iter().chain(&args.skip) {
        if !known().any(|known| known == name) {
            bail!(Failure::from(Unknown::new("item", name, known())));
        }
    }
    let wanted = Wanted {
        cadence: args.cadence.parse::<Cadence>().map_err(Failure::from)?,
        only: args.only.clone(),
        skip: skipped(args)?,
        editions: args::editions(Some(&args.edition))?,
        tag: args::tag(args.tag.as_deref())?,
    };
    let listed: Vec<&str> = wanted.items().map(|item| item.name).collect();
    if let Some(name) = args.skip.iter().find(|name| !listed.contains(&name.as_str())) {
        bail!(Failure::usage(format!("--skip {name}: it is not asked here (asked: {})", listed.join(", "))));
    }
    Ok(wanted)
}

/// What is skipped, each with its reason: its own, or the only one.
fn skipped(args: &Args) -> Result<BTreeMap<String, String>> {
    if args.reason.iter().any(|reason| reason.trim().is_empty()) {
        bail!(Failure::usage(
            "--reason: say in words why it is right; whoever reads the list will ask".to_owned()
        ));
    }
    let reasons: Vec<&String> = match args.reason.as_slice() {
        [one] => vec![one; args.skip.len()],
        several => several.iter().collect(),
    };
    if reasons.len() != args.skip.len() {
        let (skips, reasons) = (args.skip.len(), reasons.len());
        bail!(Failure::usage(format!(
            "{skips} items are skipped with {reasons} reasons: give one, or one for each"
        )));
    }
    Ok(args.skip.iter().cloned().zip(reasons.into_iter().cloned()).collect())
}
