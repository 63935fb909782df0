//! Subcommand: `cargo xtask doctor`.

mod builder;
pub mod checks;

use anyhow::Result;
use host::failure::Failure;
use host::render;

use crate::args::{self, Format};
use checks::{Check, State, examine};
use engine::context::Context;
use engine::emulation;
use engine::environment::provide;
use host::terminal::{Style, Terminal};

/// Check this machine's build prerequisites
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Output format
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

const EXAMPLES: &str = "Examples:
  # List what builds need and what is missing
  cargo xtask doctor
  # Install and start what is missing
  cargo xtask doctor --with-engine
  # For a script
  cargo xtask doctor --format json";

/// Prints every check with its remedy.
///
/// # Errors
/// [`Failure`] of the machine when something is missing.
pub fn run(options: &Args, context: &Context) -> Result<()> {
    let manifest = args::manifest_if_any(context)?;
    if context.with_engine {
        provide(&context.docker.facts()?, context)?;
        emulation::require(&checks::declared_platforms(manifest.as_ref()), context)?;
    }
    let checks = examine(manifest.as_ref(), context)?;
    match options.format {
        Format::Json => {
            context.terminal.print(render::json(&serde_json::json!({"schema": 1, "checks": checks}))?)
        }
        Format::Table | Format::Markdown => context.terminal.print(lines(&checks, &context.terminal)),
    }
    let missing: Vec<&str> =
        checks.iter().filter(|check| check.state == State::Missing).map(|check| check.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::machine(format!("missing: {}", missing.join(", ")), "follow the remedies above").into())
}

fn lines(checks: &[Check], terminal: &Terminal) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        let (style, mark) = match check.state {
            State::Ok => (Style::Good, "ok     "),
            State::Missing => (Style::Bad, "MISSING"),
            State::Unknown => (Style::Warn, "unknown"),
            State::Info => (Style::Dim, "info   "),
        };
        out.push_str(&format!(
            "{}  {:width$}  {}\n",
            terminal.paint_out(style, mark),
            check.name,
            check.found
        ));
        if let Some(remedy) = &check.remedy {
            out.push_str(&format!("         {:width$}  → {remedy}\n", ""));
        }
    }
    out
}
