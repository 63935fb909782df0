//! Subcommand: `cargo xtask smoke-test`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::args::{self, Format};
use engine::builds;
use engine::context::Context;
use engine::environment::require_engine;
use engine::variables::Variables;
use host::files;
use host::render::Render;
use host::terminal::Terminal;
use stack::deploy;
use stack::probes::junit::junit;
use stack::probes::plan::{ProbePlan, unique_word, values};
use stack::probes::report::{ProbeOutcome, ProbeReport, ReportSection};
use stack::probes::run;

/// Send the probes of images.toml to the running stack
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Services to probe [default: all, with scenarios]
    services: Vec<String>,
    /// Seconds to wait for starting services
    #[arg(long, default_value = "60")]
    timeout: u64,
    #[command(flatten)]
    output: Output,
}

const EXAMPLES: &str = "Examples:
  # Probe all services
  cargo xtask smoke
  # Probe two services
  cargo xtask smoke api storage
  # Write a JUnit file, for CI
  cargo xtask smoke --junit smoke.xml --timeout 300";

/// How to report the outcome.
#[derive(Debug, clap::Args)]
pub struct Output {
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Also write a JUnit XML file; `-` prints it instead of the report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let services = args::services(&manifest, &args.services)?;
    require_engine(context)?;
    let variables = Variables::read(context)?;
    let project = deploy::project(&variables, &manifest, context);
    let values = values(&manifest, &variables, &unique_word());
    let plan = ProbePlan::new(&manifest, &services, None);
    let (report, _) = run::run(&plan, &project, &values, Duration::from_secs(args.timeout), context)?;
    let printed = args.output.print(&report, &[report.section()], &context.terminal);
    let printed = printed.and_then(|()| Ok(plan.refuse_silence(&report)?));
    // A failed probe is reported before a record that cannot be written.
    printed.and(files::write_atomically(&context.repository.smoke_record(), report.json()?.as_bytes()))
}

/// Prints one report as a table.
///
/// # Errors
/// The names of the probes that did not pass.
pub fn print(report: &ProbeReport, terminal: &Terminal) -> Result<()> {
    let output = Output { format: Format::Table, junit: None };
    output.print(report, &[report.section()], terminal)
}

impl Output {
    /// Prints a report and writes the JUnit file.
    ///
    /// # Errors
    /// The names of the probes that did not pass, or a JUnit file that cannot be written.
    pub fn print(
        &self,
        report: &impl Render,
        sections: &[ReportSection<'_>],
        terminal: &Terminal,
    ) -> Result<()> {
        if !self.junit.as_ref().is_some_and(|path| terminal.is_stdout(path)) {
            terminal.print(self.format.of(report)?);
        }
        let written = self.junit.as_ref().map_or(Ok(()), |path| {
            terminal
                .write_file(path, junit(sections).as_bytes())
                .with_context(|| format!("--junit {}", path.display()))
        });
        let failed = sections.iter().filter_map(|section| {
            let names: Vec<String> = section.report.not_passed().map(ProbeOutcome::name).collect();
            let title = if section.title.is_empty() { String::new() } else { format!("{}: ", section.title) };
            (!names.is_empty()).then(|| format!("{title}{}", names.join(", ")))
        });
        let failed: Vec<String> = failed.collect();
        match (failed.is_empty(), written) {
            (true, written) => written,
            (false, Ok(())) => bail!("probes did not pass: {}", failed.join("; ")),
            (false, Err(error)) => bail!("probes did not pass: {}\n  and {error:#}", failed.join("; ")),
        }
    }
}
