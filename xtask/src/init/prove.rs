//! `init --prove`: builds the images, checks them, and accepts their sizes if the user agrees.

use anyhow::Result;
use clap::{Command, FromArgMatches};

use crate::{build_images, check};
use engine::context::Context;
use engine::tag_watch::TagWatch;
use host::failure::Failure;
use host::paths::Repository;
use host::program::PROGRAM;

/// The reason in the lock file.
const REASON: &str = "first sizes";

/// Builds these services, or all; accepts their sizes if `is_agreed` or the user agrees; checks them.
///
/// # Errors
/// As `build-images` and `check`.
pub(super) fn prove(services: &[String], is_agreed: bool, context: &Context) -> Result<()> {
    // The manifest may not have existed when the command started.
    let repository = Repository::locate(Some(context.repository.root()))?;
    let mut context = context.clone();
    context.docker.watch = Some(TagWatch::new(&repository, &context.terminal));
    context.repository = repository;
    build_images::run(&parsed(services, &[])?, &context)?;
    // Only lists the sizes: the check fails until they are accepted.
    if let Err(error) = check::run(&parsed(services, &[])?, &context) {
        context.terminal.warn(format!("{error:#}"));
    }
    let accept = format!("{PROGRAM} check --accept --reason \"{REASON}\"");
    match is_agreed.then_some(true).or_else(|| context.terminal.ask("Accept these sizes as baselines?")) {
        Some(true) => {}
        Some(false) => {
            context.terminal.say(format!("no size was accepted; to accept them later: {accept}"));
            return Ok(());
        }
        None => {
            let what = "cannot ask whether to accept the sizes: stdin is not a terminal; use --yes";
            return Err(Failure::usage(what).into());
        }
    }
    check::run(&parsed(services, &["--accept", "--reason", REASON])?, &context)?;
    check::run(&parsed(services, &[])?, &context)
}

/// Another command's arguments.
fn parsed<A: clap::Args + FromArgMatches>(services: &[String], more: &[&str]) -> Result<A> {
    let command = A::augment_args(Command::new("prove"));
    let words = ["prove"].into_iter().chain(services.iter().map(String::as_str)).chain(more.iter().copied());
    Ok(A::from_arg_matches(&command.try_get_matches_from(words)?)?)
}
