//! Subcommand: `cargo xtask completions`.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Command, ValueEnum};
use clap_complete::{Shell, generate};

use crate::args;
use engine::context::Context;
use model::manifest::Manifest;

/// Print a shell script that defines `xtask` as a short name with completion
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: ShellChoice,
}

const EXAMPLES: &str = "Examples:
  # Load it in bash or zsh: source <(cargo xtask completions bash)
  cargo xtask completions bash
  cargo xtask completions zsh
  # Load it in fish: cargo xtask completions fish | source
  cargo xtask completions fish

Then `xtask an<TAB>` completes to `xtask analyze`, and services are completed
from images.toml. Cargo cannot complete the words after `cargo xtask`, hence
the short name.";

/// The name that a shell completes.
const NAME: &str = "xtask";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellChoice {
    Bash,
    Zsh,
    Fish,
}

impl ShellChoice {
    fn generator(self) -> Shell {
        match self {
            ShellChoice::Bash => Shell::Bash,
            ShellChoice::Zsh => Shell::Zsh,
            ShellChoice::Fish => Shell::Fish,
        }
    }

    fn function(self) -> String {
        match self {
            ShellChoice::Bash | ShellChoice::Zsh => format!("{NAME}() {{ cargo xtask \"$@\"; }}\n"),
            ShellChoice::Fish => format!("function {NAME}; cargo xtask $argv; end\n"),
        }
    }
}

/// Prints the script.
///
/// # Errors
/// An invalid manifest.
pub fn run(options: &Args, command: Command, context: &Context) -> Result<()> {
    let mut command = match args::manifest_if_any(context)? {
        Some(manifest) => with_services(command, &manifest),
        None => command,
    };
    let mut script = options.shell.function().into_bytes();
    generate(options.shell.generator(), &mut command, NAME, &mut script);
    context.terminal.print(script);
    Ok(())
}

/// The command line with the manifest's services as values of the arguments that take them.
fn with_services(command: Command, manifest: &Manifest) -> Command {
    let names: Vec<String> = manifest.services.iter().map(|service| service.name.clone()).collect();
    command.mut_subcommands(|command| {
        command.mut_args(|arg| match arg.get_id().as_str() {
            // Services are only hints where any image reference may stand.
            "services" | "image" | "first" | "second" => {
                arg.value_parser(PossibleValuesParser::new(names.clone()))
            }
            _ => arg,
        })
    })
}
