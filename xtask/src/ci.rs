//! Subcommand: `cargo xtask ci`.

use host::failure::{Failure, class_of};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::args::Format;
use crate::ci_steps::{Action, EDITION, Step, steps};
use build::bases::Mode;
use build::compare::compare;
use build::plan::Request;
use build::produce;
use build::run::Policy;
use engine::context::Context;
use engine::environment::require_engine;
use engine::programs;
use host::terminal::Style;
use model::edition::Edition;
use model::image_ref::Tag;
use model::manifest::Manifest;
use model::reader;
use model::variant::Variant;
use stack::probes::text::titled;
use stack::throwaway::whole;
use stack::throwaway::whole::Wanted;

/// Until a stack must be healthy: a machine of CI's may be slow.
const STACK_DEADLINE: Duration = Duration::from_secs(300);

/// Do everything that must be green before a change lands
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print the steps and do none
    #[arg(long)]
    dry_run: bool,

    /// Do the long steps too: tests that take minutes, and measurements with their bounds
    #[arg(long)]
    full: bool,
}

const EXAMPLES: &str = "Examples:
  cargo xtask ci --with-engine  on a bare machine, too
  cargo xtask ci --dry-run      the steps, and do none
  cargo xtask ci --full         before a release";

/// Runs it: every step, then fails once with all that failed.
///
/// # Errors
/// When a step failed, or no engine answers.
pub fn run(args: &Args, context: &Context) -> Result<()> {
    let steps = steps(args.full);
    if args.dry_run {
        for step in &steps {
            println!("{}", step.name);
        }
        return Ok(());
    }
    let manifest = reader::load(&context.repository)?;
    require_engine(context)?;
    let terminal = &context.terminal;
    let mut summary = Vec::new();
    let mut classes = Vec::new();
    for step in &steps {
        terminal.group(step.name);
        let started = Instant::now();
        let result = one(step, &manifest, context);
        terminal.end_group();
        if context.docker.runner.interrupt.is_set() {
            return Err(Failure::interrupted().into());
        }
        if let Err(error) = &result {
            terminal.error(format!("{}: {error:#}", step.name));
            classes.push(class_of(error));
        }
        summary.push((step.name, result.is_ok(), started.elapsed().as_secs()));
    }
    for (name, passed, seconds) in &summary {
        let mark = if *passed {
            terminal.paint(Style::Good, "passed")
        } else {
            terminal.paint(Style::Bad, "FAILED")
        };
        terminal.say(format!("{mark}  {seconds:>5} s  {name}"));
    }
    let failed: Vec<&str> = summary.iter().filter(|(_, passed, _)| !passed).map(|(name, ..)| *name).collect();
    let what = format!("failed: {}", failed.join(", "));
    match classes.iter().find(|class| !class.is_environment()).or(classes.first()) {
        None => Ok(()),
        Some(class) => Err(Failure::new(*class, what, "").into()),
    }
}

fn one(step: &Step, manifest: &Manifest, context: &Context) -> Result<()> {
    // Always the same images, whatever a developer's shell says: the tests look at these.
    let tag: Tag = "latest".parse()?;
    let services: Vec<_> = manifest.services.iter().collect();
    let request = |editions: &[Edition], variants: &[Variant]| Request {
        services: services.clone(),
        editions: editions.to_vec(),
        variants: variants.to_vec(),
        tag: tag.clone(),
        default_edition: EDITION,
    };
    match &step.action {
        Action::Cargo(args) => {
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
            let cmd =
                context.docker.runner.cmd(cargo).dir(context.repository.root()).args(args.iter().copied());
            if cmd.inherit()? { Ok(()) } else { bail!("`cargo {}` failed", args.join(" ")) }
        }
        Action::Programs(names) => programs::require(names, context),
        Action::Xtask(args) => {
            let program = std::env::current_exe()?.display().to_string();
            let cmd =
                context.docker.runner.cmd(program).dir(context.repository.root()).args(args.iter().copied());
            if cmd.inherit()? { Ok(()) } else { bail!("`cargo xtask {}` failed", args.join(" ")) }
        }
        Action::Build(editions, variants) => {
            let request = request(editions, variants);
            produce::produce(manifest, &request, Mode::Auto, &Policy::default(), context).map(drop)
        }
        Action::ServiceTests => {
            let request = request(&[EDITION], &[Variant::Optimized]);
            let count = produce::test(manifest, &request.services, &request, Mode::Auto, context)?;
            context.terminal.say(format!("{count} services tested in their images' builds"));
            Ok(())
        }
        Action::Stacks(edition, parity, stack_tests) => {
            let wanted = Wanted {
                services: services.clone(),
                edition: *edition,
                tag,
                variants: vec![Variant::Optimized],
                parity: *parity,
                stack_tests: *stack_tests,
                deadline: STACK_DEADLINE,
            };
            let report = whole::test(manifest, &wanted, context)?;
            let failed = titled(&report).iter().filter(|(_, report)| report.not_passed().count() > 0).count();
            titled(&report).iter().for_each(|part| print!("{}", stack::probes::text::text(part)));
            if failed == 0 { Ok(()) } else { bail!("not all passed, as told above") }
        }
        Action::Check => {
            for edition in Edition::ALL {
                print!(
                    "{}",
                    build::comparison_text::text(&compare(manifest, &services, edition, &tag, context)?)
                );
            }
            let wanted = check::Wanted { services, editions: Edition::ALL.to_vec(), tag };
            let report = check::check(manifest, &wanted, None, context)?;
            crate::check::tell(&report, Format::Table, context)
        }
    }
}
