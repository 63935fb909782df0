//! Subcommand: `cargo xtask ci`.

mod campaign;
mod steps;

use host::failure::{self, Failure, FailureClass, class_of};
use host::render::Render as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::args::Format;
use crate::compare::compared;
use crate::doctor::checks::LEAST_FREE;
use crate::exit_code::exit_code;
use build::bake::BuildOptions;
use build::bases::BasesMode;
use build::builds;
use build::request::BuildRequest;
use campaign::CampaignArgs;
use check::guard::{self, CheckRequest};
use engine::context::Context;
use engine::emulation;
use engine::environment::require_engine;
use engine::programs;
use host::process::{Cmd, Forwarded, tail};
use host::terminal::Style;
use model::bytes::Bytes;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::Manifest;
use model::platform::Platform;
use model::reader;
use model::variant::Variant;
use stack::throwaway::test_run::{self, TestRequest};
use steps::{Action, Step, steps};

/// How long a stack may take to become healthy: CI machines are slow.
const STACK_DEADLINE: Duration = Duration::from_secs(300);

/// The free disk space that `ci` needs: 15 GB for its builds and tests, and [`LEAST_FREE`], which the tests of `doctor` require.
const DISK: Bytes = Bytes(15_000_000_000 + LEAST_FREE.0);

/// How many lines of a failed command are shown again at the end.
const LAST_LINES: usize = 30;

/// Run every check that must pass before a merge
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print the steps without running them
    #[arg(long)]
    dry_run: bool,

    /// Run the long steps too: large originals, live parity, long tests, benchmarks
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    campaign: CampaignArgs,
}

const EXAMPLES: &str = "Examples:
  # Works on a bare machine too
  cargo xtask ci --with-engine
  # List the steps
  cargo xtask ci --dry-run
  # Before a release
  cargo xtask ci --full
  # Kill commands at every step; run again to continue
  cargo xtask ci --campaign kills --seed 7";

/// Runs every step, then fails once with all failures.
///
/// # Errors
/// When a step failed, or no engine is running.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    if let Some(cargo) = args.campaign.cargo() {
        return campaign::run(&cargo, args.dry_run, context);
    }
    let manifest = reader::load(&context.repository)?;
    let steps = steps(args.full, &manifest.editions);
    if args.dry_run {
        context.terminal.print(steps.iter().map(|step| format!("{}\n", step.name)).collect::<String>());
        return Ok(());
    }
    require_engine(context)?;
    let terminal = &context.terminal;
    let free_before = engine_disk(context)?;
    if let Some(free) = free_before.filter(|free| *free < DISK) {
        terminal.warn(format!("{free} of the engine's disk are free; `ci` needs about {DISK}"));
    }
    let mut summary = Vec::new();
    let mut errors = Vec::new();
    for step in &steps {
        terminal.group(&step.name);
        let started = Instant::now();
        let result = one(step, &manifest, context);
        terminal.end_group();
        summary.push((step.name.as_str(), result.is_ok(), started.elapsed().as_secs()));
        if let Err(error) = result {
            terminal.error(format!("{} failed", step.name));
            errors.push((step.name.as_str(), error));
        }
        if context.docker.runner.interrupt.is_set() {
            break;
        }
    }
    for (name, passed, seconds) in &summary {
        let mark = if *passed {
            terminal.paint(Style::Good, "passed")
        } else {
            terminal.paint(Style::Bad, "FAILED")
        };
        terminal.say(format!("{mark}  {seconds:>5} s  {name}"));
    }
    if let (Some(before), Some(after)) = (free_before, engine_disk(context)?) {
        terminal.say(format!("engine's disk: {before} free before, {after} after"));
    }
    // Again at the end, where people look first.
    for (name, error) in &errors {
        terminal.error(format!("{name}: {}", context.docker.runner.secrets.mask(&failure::report(error))));
    }
    context.docker.runner.interrupt.check()?;
    let failed: Vec<&str> = errors.iter().map(|(name, _)| *name).collect();
    let what = format!("failed: {}", failed.join(", "));
    match class_of_all(&errors.iter().map(|(_, error)| class_of(error)).collect::<Vec<_>>()) {
        None => Ok(()),
        Some(class) if class.is_environment() => Err(Failure::new(class, what, class.remedy()).into()),
        Some(class) => Err(Failure::new(class, what, "").into()),
    }
}

/// The class of several failures. A full disk comes first, since it can make anything fail.
fn class_of_all(classes: &[FailureClass]) -> Option<FailureClass> {
    let full = classes.iter().find(|class| **class == FailureClass::Disk);
    full.or(classes.iter().find(|class| !class.is_environment())).or(classes.first()).copied()
}

fn one(step: &Step, manifest: &Manifest, context: &Context) -> Result<()> {
    // The tests expect these images, whatever SUTRA_VERSION says.
    let tag: Tag = "latest".parse()?;
    let services: Vec<_> = manifest.services.iter().collect();
    let request = |editions: &[Edition], variants: &[Variant]| BuildRequest {
        services: services.clone(),
        editions: editions.to_vec(),
        variants: variants.to_vec(),
        tag: tag.clone(),
        default_edition: manifest.default_edition(),
        platforms: Vec::new(),
    };
    let build = |request: BuildRequest<'_>| {
        builds::images(manifest, &request, BasesMode::Auto, &BuildOptions::default(), context).map(drop)
    };
    match &step.action {
        Action::Cargo(args) => {
            program(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()), args, context)
        }
        Action::Programs(names) => programs::require(names, context),
        Action::Emulation(architecture) => {
            emulation::require(&[Platform::new("linux", architecture)], context)
        }
        Action::Xtask(args) => program(std::env::current_exe()?.display().to_string(), args, context),
        Action::Optimized(editions) => build(request(editions, &[Variant::Optimized])),
        Action::Originals { large } => {
            let request = request(&[manifest.default_edition()], &[Variant::Original]);
            let services = services.iter().copied().filter(|service| service.large_original == *large);
            build(BuildRequest { services: services.collect(), ..request })
        }
        Action::ServiceTests => {
            let request = request(&[manifest.default_edition()], &[Variant::Optimized]);
            let count = builds::service_tests(manifest, &request, BasesMode::Auto, context)?;
            context.terminal.say(format!("{count} services tested in their builds"));
            Ok(())
        }
        Action::Stacks(edition, parity, stack_tests) => {
            let request = TestRequest {
                services: services.clone(),
                edition: *edition,
                tag,
                variants: vec![Variant::Optimized],
                parity: *parity,
                stack_tests: *stack_tests,
                deadline: STACK_DEADLINE,
            };
            let report = test_run::run(manifest, &request, context)?;
            context.terminal.print(Format::Table.of(&report)?);
            let sections = report.sections();
            let failed = sections.iter().filter(|section| section.report.not_passed().count() > 0).count();
            if failed == 0 { Ok(()) } else { bail!("{failed} of {} groups failed", sections.len()) }
        }
        Action::Check => {
            for &edition in &manifest.editions {
                context.terminal.print(compared(manifest, &services, edition, &tag, None, context)?.text());
            }
            let editions = manifest.editions.clone();
            let request = CheckRequest { services, editions, tag, allowed_growth: None };
            let report = guard::check(manifest, &request, None, context)?;
            crate::check::print(&report, Format::Table, context)
        }
    }
}

/// Runs a program in the repository and forwards its output.
fn program(program: String, args: &[&str], context: &Context) -> Result<()> {
    let cmd = context.docker.runner.cmd(program).dir(context.repository.root()).args(args.iter().copied());
    pass_on(&cmd, context)
}

/// Runs a command, forwards its output, and classifies its failure.
fn pass_on(cmd: &Cmd, context: &Context) -> Result<()> {
    let color = if context.terminal.is_stderr_colored() { "always" } else { "never" };
    let cmd = cmd.clone().env("CARGO_TERM_COLOR", color);
    let Forwarded { code, end } = cmd.forward(&context.terminal)?;
    if code == Some(0) {
        return Ok(());
    }
    let what = format!("`{}` failed", cmd.quoted());
    // The output does not always mention it.
    let class = if let Some(folder) = full_disk(context)? {
        return Err(
            Failure::new(FailureClass::Disk, format!("{what}: the disk of {folder} is full"), "").into()
        );
    } else if code == Some(exit_code(FailureClass::Machine).into()) {
        FailureClass::Machine
    } else {
        FailureClass::Failed
    };
    let end = tail(&end, LAST_LINES);
    let what = if end.is_empty() { what } else { format!("{what}; its last lines:\n{end}") };
    Err(Failure::new(class, what, "").into())
}

/// Free bytes where a local engine keeps its data.
fn engine_disk(context: &Context) -> Result<Option<Bytes>> {
    match context.docker.facts()?.data_root.filter(|root| Path::new(root).is_dir()) {
        Some(root) => context.docker.free_at(&root),
        None => Ok(None),
    }
}

/// A folder for build output or temporary files whose disk is full.
fn full_disk(context: &Context) -> Result<Option<String>> {
    const NO_ROOM: Bytes = Bytes(1_000_000);
    for folder in [context.repository.root().join("target"), std::env::temp_dir()] {
        let folder = folder.display().to_string();
        if context.docker.free_at(&folder)?.is_some_and(|free| free < NO_ROOM) {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_outranks_the_failures_it_causes() {
        use FailureClass::{Disk, Failed, Network};
        assert_eq!(class_of_all(&[Network, Failed, Disk]), Some(Disk));
        assert_eq!(class_of_all(&[Network, Failed]), Some(Failed));
        assert_eq!(class_of_all(&[Network]), Some(Network));
        assert_eq!(class_of_all(&[]), None);
    }
}
