//! Floor 5: parse, dispatch, exit code.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::args::Usage;
use crate::{
    analyze, build_images, check, ci, clean, compare, completions, compose_switch, deploy, doctor, measure,
    push, release_check, report, smoke_test, test, why,
};
use build::changes::NoCommit;
use build::produce::BuildFailed;
use build::publish::Stuck;
use engine::context::Context;
use engine::docker::Docker;
use engine::environment::Unfit;
use engine::save::NoRoom;
use host::files::Held;
use host::interrupt::{Interrupt, Interrupted};
use host::paths::Repository;
use host::process::{ProcessError, Runner};
use host::terminal::{Color, Terminal, Verbosity};
use model::names::Unknown;
use model::reader::Faults;

/// Builds, compares and guards the images of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXAMPLES)]
struct Cli {
    /// Another checkout than the one around the current folder
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Install and start Docker Engine, Buildx and Compose where they are missing (Debian or Ubuntu, as root)
    #[arg(long, global = true)]
    with_engine: bool,
    /// Errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Every command with its duration
    #[arg(short, long, global = true)]
    verbose: bool,
    /// When to colour; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, default_value = "auto")]
    color: ColorChoice,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  cargo xtask build-images --edition simple --with-engine   from a bare machine to images
  cargo xtask build-images --variant both                    originals too, for a measured comparison
  cargo xtask compare --format markdown                      for a pull request
  cargo xtask analyze api                                    who brought the bytes of an image
  cargo xtask why api                                        what went from original to optimized
  cargo xtask doctor                                         what this machine lacks

Exit codes: 0 done · 1 a build, check or test failed · 2 wrong usage or manifest
            3 the environment (engine, network, disk) · 130 interrupted";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    BuildImages(build_images::Args),
    Compare(compare::Args),
    Analyze(analyze::Args),
    Why(why::Args),
    ComposeSwitch(compose_switch::Args),
    Deploy(deploy::Args),
    Doctor(doctor::Args),
    Measure(measure::Args),
    #[command(visible_alias = "smoke")]
    SmokeTest(smoke_test::Args),
    Test(test::Args),
    Push(push::Args),
    Clean(clean::Args),
    Check(check::Args),
    Report(report::Args),
    ReleaseCheck(release_check::Args),
    Ci(ci::Args),
    Completions(completions::Args),
}

/// Why the program ends; the number is the exit code (DESIGN: "Commands").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A build, check or test failed.
    Failed = 1,
    /// Wrong usage or manifest. clap uses the same code.
    Usage = 2,
    /// The environment: no engine, no network, no disk.
    Environment = 3,
    /// The person interrupted (128 + SIGINT, as shells do).
    Interrupted = 130,
}

impl Exit {
    /// The exit of an error, from the innermost cause that has one.
    pub fn of(error: &anyhow::Error) -> Exit {
        if error.chain().any(|cause| cause.is::<Interrupted>()) {
            return Exit::Interrupted;
        }
        for cause in error.chain() {
            if cause.is::<Usage>() || cause.is::<Unknown>() || cause.is::<Faults>() || cause.is::<NoCommit>()
            {
                return Exit::Usage;
            }
            let is_environment = cause.is::<Unfit>()
                || cause.is::<NoRoom>()
                || cause.is::<Held>()
                || cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|error| error.kind() == ErrorKind::StorageFull)
                || cause.downcast_ref::<BuildFailed>().is_some_and(BuildFailed::is_environment)
                || cause.downcast_ref::<ProcessError>().is_some_and(|error| error.not_found);
            if is_environment {
                return Exit::Environment;
            }
        }
        Exit::Failed
    }
}

/// Parses the command line, runs it, and says what went wrong.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbosity = match (cli.quiet, cli.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    let color = match cli.color {
        ColorChoice::Auto => Color::Auto,
        ColorChoice::Always => Color::Always,
        ColorChoice::Never => Color::Never,
    };
    let terminal = Terminal::detect(color, verbosity);
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            terminal.error(format!("cannot listen for Ctrl-C: {error}"));
            return ExitCode::from(Exit::Environment as u8);
        }
    };
    let exit = match run(&cli, &terminal, interrupt.clone()) {
        Ok(()) => Exit::Done,
        // Whatever failed because its process got the signal too, this is why.
        Err(error) if interrupt.is_set() => {
            let error = if error.is::<Stuck>() { error } else { Interrupted.into() };
            terminal.error(format!("{error:#}"));
            Exit::Interrupted
        }
        Err(error) => {
            terminal.error(format!("{error:#}"));
            Exit::of(&error)
        }
    };
    ExitCode::from(exit as u8)
}

fn run(cli: &Cli, terminal: &Terminal, interrupt: Interrupt) -> Result<()> {
    let runner = Runner { verbose: cli.verbose, interrupt };
    let repository = Repository::locate(cli.root.as_deref()).map_err(|error| Usage(format!("{error:#}")))?;
    let context = Context {
        repository,
        docker: Docker::new(runner),
        terminal: terminal.clone(),
        with_engine: cli.with_engine,
    };
    match &cli.command {
        Command::BuildImages(args) => build_images::run(args, &context),
        Command::Compare(args) => compare::run(args, &context),
        Command::Analyze(args) => analyze::run(args, &context),
        Command::Why(args) => why::run(args, &context),
        Command::ComposeSwitch(args) => compose_switch::run(args, &context),
        Command::Deploy(args) => deploy::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Measure(args) => measure::run(args, &context),
        Command::SmokeTest(args) => smoke_test::run(args, &context),
        Command::Test(args) => test::run(args, &context),
        Command::Push(args) => push::run(args, &context),
        Command::Clean(args) => clean::run(args, &context),
        Command::Check(args) => check::run(args, &context),
        Command::Report(args) => report::run(args, &context),
        Command::ReleaseCheck(args) => release_check::run(args, &context),
        Command::Ci(args) => ci::run(args, &context),
        Command::Completions(args) => completions::run(args, Cli::command(), &context),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command line of ours; quotes hold one word.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec!["cargo xtask".to_owned()];
        for (index, part) in line.split('"').enumerate() {
            match index % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    }

    #[test]
    fn every_command_of_the_workflows_is_one() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
        let mut count = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for line in text.lines().filter_map(|line| line.split_once("cargo xtask ")).map(|(_, line)| line)
            {
                // What is redirected, piped or done otherwise belongs to the shell.
                let line = line.split(['>', '|', '&', ';']).next().unwrap_or_default();
                let words = words(line);
                count += 1;
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "`cargo xtask {line}`: {}", parsed.unwrap_err());
            }
        }
        assert!(count > 5, "the workflows were not found");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_and_every_example_is_a_command() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> =
                help.lines().filter_map(|line| line.trim().strip_prefix("cargo xtask ")).collect();
            assert!(examples.len() > 1, "{} has no examples", command.get_name());
            for example in examples {
                // Two spaces part a command from what it is for.
                let line = example.split("  ").next().unwrap_or_default();
                let words = words(line);
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "`cargo xtask {line}`: {}", parsed.unwrap_err());
                assert_eq!(Cli::command().find_subcommand(&words[1]).unwrap().get_name(), command.get_name());
            }
        }
    }

    #[test]
    fn causes_find_their_exit_code_through_any_context() {
        let exit = |error: anyhow::Error| Exit::of(&error.context("while building"));
        assert_eq!(exit(Usage("x".into()).into()), Exit::Usage);
        assert_eq!(exit(Unfit::new("x", "y").into()), Exit::Environment);
        assert_eq!(exit(Interrupted.into()), Exit::Interrupted);
        assert_eq!(exit(anyhow::anyhow!("x")), Exit::Failed);
    }
}
