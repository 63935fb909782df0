//! Subcommand: `cargo xtask smoke-test`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::args;
use crate::args::Format;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::files;
use model::reader;
use stack::probes::report::Outcome;
use stack::probes::text::Titled;
use stack::{deploy, probes};

/// Ask the running stack what images.toml declares, and judge the answers
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services; none means all, and the scenarios through the whole stack
    services: Vec<String>,
    /// Seconds to wait for services that are starting
    #[arg(long, default_value = "60")]
    timeout: u64,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "Examples:
  cargo xtask smoke                                  ask the running stack everything
  cargo xtask smoke api storage                      two services only
  cargo xtask smoke --junit smoke.xml --timeout 300  for a machine, which waits longer";

/// Where the outcome goes.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// How to print the outcome
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Write it as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// With the names of all probes that did not pass.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let services = args::services(&manifest, &args.services)?;
    require_engine(context)?;
    let variables = Variables::read(&context.repository)?;
    let project = deploy::project(&variables, &manifest, context);
    let known = probes::known(&manifest, &variables, &probes::word());
    let inquiry = probes::inquiry(&manifest, &services);
    let starting = Duration::from_secs(args.timeout);
    let (report, _) = probes::ask(&inquiry, &project, &known, starting, context)?;
    let printed = args.output.print(&[(String::new(), &report)], &report);
    let record = probes::text::json(&report)?;
    // The verdict is what the person waits for: a record that cannot be written comes second.
    printed.and(files::write_atomically(&context.repository.smoke_record(), record.as_bytes()))
}

impl Output {
    /// Prints reports, `record` being all of them for programs, and fails with the names of what did not pass.
    ///
    /// # Errors
    /// Also when the JUnit file cannot be written.
    pub fn print(&self, reports: &[Titled<'_>], record: &impl Serialize) -> Result<()> {
        let of =
            |render: fn(&Titled<'_>) -> String| reports.iter().map(render).collect::<Vec<_>>().join("\n");
        match self.format {
            Format::Table => print!("{}", of(probes::text::text)),
            Format::Markdown => print!("{}", of(probes::text::markdown)),
            Format::Json => print!("{}", probes::text::json(record)?),
        }
        let junit = self.junit.as_ref().map_or(Ok(()), |path| {
            files::write_atomically(path, probes::text::junit(reports).as_bytes())
                .with_context(|| format!("--junit {}", path.display()))
        });
        let named = |(title, report): &Titled<'_>| {
            let names: Vec<String> = report.not_passed().map(Outcome::name).collect();
            let title = if title.is_empty() { String::new() } else { format!("{title}: ") };
            (!names.is_empty()).then(|| format!("{title}{}", names.join(", ")))
        };
        let failed: Vec<String> = reports.iter().filter_map(named).collect();
        match (failed.as_slice(), junit) {
            ([], junit) => junit,
            (failed, Ok(())) => bail!("did not pass: {}", failed.join("; ")),
            (failed, Err(error)) => bail!("did not pass: {}\n  and {error:#}", failed.join("; ")),
        }
    }
}
