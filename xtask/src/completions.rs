//! `completions`: scripts for shells.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;
use clap::{Command, ValueEnum};
use clap_complete::{Shell, generate};

use engine::context::Context;
use model::manifest::Manifest;
use model::reader;

/// Print a script that makes `xtask` a short name of `cargo xtask`, with completion
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: ShellChoice,
}

const EXAMPLES: &str = "Examples:
  cargo xtask completions bash   source <(cargo xtask completions bash)
  cargo xtask completions zsh    source <(cargo xtask completions zsh)
  cargo xtask completions fish   cargo xtask completions fish | source

Then `xtask an<TAB>` is `xtask analyze`; services are those of images.toml. cargo's own completion knows nothing of a
command's words, so the script gives the command a name of its own.";

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

/// Runs it for this command line.
///
/// # Errors
/// A manifest with faults, or a standard output that is closed.
pub fn run(args: &Args, command: Command, context: &Context) -> Result<()> {
    let manifest = reader::load(&context.repository)?;
    let mut command = knowing(command, &manifest);
    let mut script = args.shell.function().into_bytes();
    generate(args.shell.generator(), &mut command, NAME, &mut script);
    std::io::stdout().write_all(&script).context("cannot write to standard output")
}

/// The command line with the manifest's services as values of the arguments that take them.
fn knowing(command: Command, manifest: &Manifest) -> Command {
    let names: Vec<String> = manifest.services.iter().map(|service| service.name.clone()).collect();
    command.mut_subcommands(|command| {
        command.mut_args(|arg| match arg.get_id().as_str() {
            // Where an image's reference may stand, too, the services are hints.
            "services" | "image" | "first" | "second" => {
                arg.value_parser(PossibleValuesParser::new(names.clone()))
            }
            _ => arg,
        })
    })
}
