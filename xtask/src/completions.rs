//! Subcommand: `cargo xtask completions`.

use anyhow::Result;
use clap::builder::PossibleValuesParser;
use clap::{Command, ValueEnum};
use clap_complete::{Shell, generate};

use engine::builds;
use engine::context::Context;
use host::program::{CARGO_XTASK, PROGRAM};
use model::manifest::Manifest;

/// Print a shell script that completes commands, options and services
#[derive(Debug, clap::Args)]
#[command(after_help = examples())]
pub struct Args {
    /// Shell
    #[arg(value_enum)]
    shell: ShellChoice,
}

fn examples() -> String {
    let name = name();
    let why = match PROGRAM.name() {
        CARGO_XTASK => " Cargo cannot complete the words after\n`cargo xtask`, hence the short name.",
        _ => "",
    };
    format!(
        "Examples:
  # Load it in bash or zsh: source <({PROGRAM} completions bash)
  {PROGRAM} completions bash
  {PROGRAM} completions zsh
  # Load it in fish: {PROGRAM} completions fish | source
  {PROGRAM} completions fish

Then `{name} an<TAB>` completes to `{name} analyze`, and services are completed
from the manifest.{why}"
    )
}

/// The name that a shell completes.
fn name() -> &'static str {
    match PROGRAM.name() {
        CARGO_XTASK => "xtask",
        name => name,
    }
}

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

    /// A function with the short name; a program of that name needs none.
    fn function(self) -> String {
        match self {
            _ if PROGRAM.name() != CARGO_XTASK => String::new(),
            ShellChoice::Bash | ShellChoice::Zsh => "xtask() { cargo xtask \"$@\"; }\n".to_owned(),
            ShellChoice::Fish => "function xtask; cargo xtask $argv; end\n".to_owned(),
        }
    }
}

/// Prints the script.
///
/// # Errors
/// An invalid manifest.
pub fn run(args: &Args, command: Command, context: &Context) -> Result<()> {
    let manifest = builds::manifest(context)?;
    let mut command = with_services(command, &manifest);
    let mut script = args.shell.function().into_bytes();
    generate(args.shell.generator(), &mut command, name(), &mut script);
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
