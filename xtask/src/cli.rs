//! Parse, dispatch, exit code.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::exit_code::exit_code;
use crate::help::Replacements;
use crate::{
    analyze, build_images, check, ci, clean, compare, completions, compose_switch, deploy, diet, doctor,
    estimate, init, measure, push, relay, release_check, report, smoke_test, test, trace, verify,
    vulnerabilities, when, why,
};
use engine::builder::Builder;
use engine::context::Context;
use engine::docker::Docker;
use engine::tag_watch::TagWatch;
use host::failure::{self, Failure, FailureClass, class_of};
use host::interrupt::Interrupt;
use host::paths::Repository;
use host::process::Runner;
use host::program::{CARGO_XTASK, PROGRAM};
use host::secrets::Secrets;
use host::terminal::{Color, Terminal, Verbosity};
use model::reader;

/// Build, compare, check and ship the images of this repository.
#[derive(Debug, Parser)]
#[command(name = CARGO_XTASK, bin_name = CARGO_XTASK, version, after_help = EXAMPLES)]
struct Cli<C: Subcommand> {
    /// Use the checkout in DIR [default: the one that contains the current folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    root: Option<PathBuf>,
    /// Install and start Docker Engine, Buildx and Compose if missing (Debian or Ubuntu, as root)
    #[arg(long, global = true, help_heading = GLOBAL)]
    with_engine: bool,
    /// Buildx builder, or a docker context to build on its engine [default: $BUILDX_BUILDER, else the current builder]
    #[arg(long, global = true, value_name = "NAME", help_heading = GLOBAL)]
    builder: Option<String>,
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    quiet: bool,
    /// Print every command with its duration
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    verbose: bool,
    /// Colour the output; NO_COLOR is honoured
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL)]
    color: ColorChoice,
    #[command(subcommand)]
    command: C,
}

/// Where help lists the options that every command takes.
const GLOBAL: &str = "Global options";

const EXAMPLES: &str = "Examples:
  # From a bare machine to optimized images
  cargo xtask build-images --edition simple --with-engine
  # Build the originals too, for a measured comparison
  cargo xtask build-images --variant both
  # Compare sizes, for a pull request
  cargo xtask compare --format markdown
  # See who owns the bytes of an image
  cargo xtask analyze api
  # Explain the size difference between the original and the optimized image
  cargo xtask why api
  # List what this machine lacks
  cargo xtask doctor

Exit codes:
  0    done
  1    a build, check or test failed
  2    wrong usage or manifest
  3    environment: no engine, network or disk
  130  interrupted";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ColorChoice {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    // Commands of the guide's script, accepted and suggested.
    #[command(aliases = ["build", "build-all"])]
    BuildImages(build_images::Args),
    Compare(compare::Args),
    Analyze(analyze::Args),
    When(when::Args),
    Why(why::Args),
    ComposeSwitch(compose_switch::Args),
    Deploy(deploy::Args),
    Doctor(doctor::Args),
    Init(init::Args),
    Measure(measure::Args),
    Trace(trace::Args),
    Diet(diet::Args),
    #[command(visible_alias = "smoke")]
    SmokeTest(smoke_test::Args),
    Test(test::Args),
    Push(push::Args),
    Verify(verify::Args),
    Clean(clean::Args),
    Check(check::Args),
    Estimate(estimate::Args),
    #[command(visible_alias = "audit")]
    Vulnerabilities(vulnerabilities::Args),
    Report(report::Args),
    ReleaseCheck(release_check::Args),
    Completions(completions::Args),
    // Runs in a container that `deploy --swarm` starts.
    #[command(hide = true)]
    Relay(relay::Args),
}

/// The commands of `cargo xtask`.
#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one value exists, for the whole run")]
enum XtaskCommand {
    #[command(flatten)]
    Common(Command),
    // Tests the source of this program.
    Ci(ci::Args),
}

/// A command that runs.
trait Run {
    /// `command` is the whole command line, for completions.
    fn run(&self, command: fn() -> clap::Command, context: &Context) -> Result<()>;

    /// Whether it requires a manifest.
    fn needs_manifest(&self) -> bool;
}

/// The program `cargo xtask`.
pub fn cargo_xtask() -> ExitCode {
    main::<XtaskCommand>(CARGO_XTASK)
}

/// The program `images`.
pub fn images() -> ExitCode {
    main::<Command>("images")
}

/// Parses the command line, runs the command, and reports a failure.
fn main<C: Subcommand + Run>(name: &'static str) -> ExitCode {
    PROGRAM.set_name(name);
    host::panics::exit_with_children();
    let interrupt = match Interrupt::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let terminal = Terminal::detect(Color::Auto, Verbosity::Normal, &Interrupt::default());
            terminal.error(format!("cannot listen for Ctrl-C: {error}"));
            return ExitCode::from(exit_code(FailureClass::Machine));
        }
    };
    let cli = match parse::<C>(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return without_command(&error, &interrupt),
    };
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
    let terminal = Terminal::detect(color, verbosity, &interrupt);
    let secrets = Secrets::default();
    let log = cli.verbose.then(|| terminal.clone());
    let runner = Runner { log, interrupt: interrupt.clone(), secrets: secrets.clone() };
    let Err(error) = run(&cli, &terminal, runner) else { return printed(&terminal) };
    // An interrupt can make any child fail, so report the interrupt instead. `Unfinished` stays: it lists what was done.
    let error = match class_of(&error) {
        FailureClass::Unfinished | FailureClass::Interrupted => error,
        _ if interrupt.is_set() => Failure::interrupted().into(),
        _ => error,
    };
    terminal.error(secrets.mask(&failure::report(&error)));
    if let Some(failure) = terminal.lost_data().filter(|failure| failure.class != FailureClass::Interrupted) {
        terminal.error(failure.to_string());
    }
    let class = if interrupt.is_set() { FailureClass::Interrupted } else { class_of(&error) };
    ExitCode::from(exit_code(class))
}

/// The command line, as this program shows it.
fn command<C: Subcommand>() -> clap::Command {
    Replacements::here().adapt(Cli::<C>::command())
}

/// Parses a command line, which starts with the program.
fn parse<C: Subcommand>(
    words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Cli<C>, clap::Error> {
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    // Adapt texts only if one is shown.
    Cli::try_parse_from(&words).or_else(|_| {
        let mut command = command::<C>();
        let mut matches = command.try_get_matches_from_mut(&words)?;
        Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    })
}

/// Prints help, the version, or a usage error.
fn without_command(error: &clap::Error, interrupt: &Interrupt) -> ExitCode {
    let terminal = Terminal::detect(Color::Auto, Verbosity::Normal, interrupt);
    let text = error.render();
    if error.use_stderr() {
        let text = if terminal.is_stderr_colored() { text.ansi().to_string() } else { text.to_string() };
        terminal.say(text.trim_end());
        return ExitCode::from(exit_code(FailureClass::Usage));
    }
    terminal.print(if terminal.is_stdout_colored() { text.ansi().to_string() } else { text.to_string() });
    printed(&terminal)
}

/// The exit code of a successful run: a failure if its data could not be printed.
fn printed(terminal: &Terminal) -> ExitCode {
    match terminal.lost_data() {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            terminal.error(failure.to_string());
            ExitCode::from(exit_code(failure.class))
        }
    }
}

fn run<C: Subcommand + Run>(cli: &Cli<C>, terminal: &Terminal, runner: Runner) -> Result<()> {
    let root = cli.root.as_deref();
    let located = match Repository::locate(root) {
        Err(_) if !cli.command.needs_manifest() => Repository::locate_or_here(root),
        located => located,
    };
    let repository = located.map_err(|error| Failure::usage(format!("{error:#}")))?;
    let watch = repository.has_manifest().then(|| TagWatch::new(&repository, terminal));
    let context = Context {
        docker: Docker { watch, builder: Builder::select(cli.builder.as_deref()), ..Docker::new(runner) },
        repository,
        terminal: terminal.clone(),
        with_engine: cli.with_engine,
    };
    if let Some(note) = reader::migration_note(&context.repository) {
        terminal.warn(note);
    }
    cli.command.run(command::<C>, &context)
}

impl Run for Command {
    fn needs_manifest(&self) -> bool {
        match self {
            Command::Trace(args) => return args.needs_manifest(),
            Command::Diet(args) => return args.needs_manifest(),
            _ => {}
        }
        // `init` writes it; the others work without one.
        !matches!(
            self,
            Command::Init(_)
                | Command::Analyze(_)
                | Command::Why(_)
                | Command::Verify(_)
                | Command::Doctor(_)
                | Command::Completions(_)
                | Command::Relay(_)
        )
    }

    fn run(&self, command: fn() -> clap::Command, context: &Context) -> Result<()> {
        match self {
            Command::BuildImages(args) => build_images::run(args, context),
            Command::Compare(args) => compare::run(args, context),
            Command::Analyze(args) => analyze::run(args, context),
            Command::Why(args) => why::run(args, context),
            Command::ComposeSwitch(args) => compose_switch::run(args, context),
            Command::Deploy(args) => deploy::run(args, context),
            Command::Doctor(args) => doctor::run(args, context),
            Command::Init(args) => init::run(args, context),
            Command::Measure(args) => measure::run(args, context),
            Command::Trace(args) => trace::run(args, context),
            Command::Diet(args) => diet::run(args, context),
            Command::SmokeTest(args) => smoke_test::run(args, context),
            Command::Test(args) => test::run(args, context),
            Command::Push(args) => push::run(args, context),
            Command::Verify(args) => verify::run(args, context),
            Command::Clean(args) => clean::run(args, context),
            Command::Check(args) => check::run(args, context),
            Command::When(args) => when::run(args, context),
            Command::Estimate(args) => estimate::run(args, context),
            Command::Vulnerabilities(args) => vulnerabilities::run(args, context),
            Command::Report(args) => report::run(args, context),
            Command::ReleaseCheck(args) => release_check::run(args, context),
            Command::Completions(args) => completions::run(args, command(), context),
            Command::Relay(args) => relay::run(args, context),
        }
    }
}

impl Run for XtaskCommand {
    fn needs_manifest(&self) -> bool {
        match self {
            XtaskCommand::Common(common) => common.needs_manifest(),
            XtaskCommand::Ci(_) => true,
        }
    }

    fn run(&self, command: fn() -> clap::Command, context: &Context) -> Result<()> {
        match self {
            XtaskCommand::Common(common) => common.run(command, context),
            XtaskCommand::Ci(args) => ci::run(args, context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a command line; quotes hold one word.
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

    /// The commands in `.github`, by program, without redirections, pipes and further commands.
    fn in_workflows(program: &str) -> Vec<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let workflows = std::fs::read_dir(root.join(".github/workflows")).unwrap();
        let files = workflows.map(|file| file.unwrap().path()).chain([root.join("action.yml")]);
        let text: String = files.map(|file| std::fs::read_to_string(file).unwrap_or_default()).collect();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let commands = lines.filter_map(|line| line.split_once(program)).map(|(_, line)| line);
        commands
            .map(|line| line.split(['>', '|', '&', ';', ')']).next().unwrap_or_default().to_owned())
            .collect()
    }

    #[test]
    fn commands_in_workflows_parse() {
        let commands = in_workflows("cargo xtask ");
        assert!(commands.len() > 5, "the workflows were not found");
        for line in commands {
            let parsed = Cli::<XtaskCommand>::try_parse_from(words(&line));
            assert!(parsed.is_ok(), "`cargo xtask {line}`: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::<XtaskCommand>::command().debug_assert();
        Cli::<Command>::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        let own = Cli::<XtaskCommand>::command();
        // Only this program runs hidden commands.
        for command in own.get_subcommands().filter(|command| !command.is_hide_set()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples: Vec<&str> =
                help.lines().filter_map(|line| line.trim().strip_prefix("cargo xtask ")).collect();
            assert!(examples.len() > 1, "{} has no examples", command.get_name());
            for line in help.lines() {
                assert!(line.len() <= 80, "{}: clap would wrap `{line}`", command.get_name());
            }
            for example in examples {
                let words = words(example);
                let parsed = Cli::<XtaskCommand>::try_parse_from(&words);
                assert!(parsed.is_ok(), "`cargo xtask {example}`: {}", parsed.unwrap_err());
                assert_eq!(own.find_subcommand(&words[1]).unwrap().get_name(), command.get_name());
                // `images` has the same commands, except for the one that tests its source.
                assert_eq!(Cli::<Command>::try_parse_from(&words).is_ok(), command.get_name() != "ci");
            }
        }
    }
}
