//! Resolving a commit and extracting its tree into a temporary folder.

use anyhow::{Context as _, Result};

use engine::context::Context;
use host::failure::{Failure, FailureClass};
use host::process::Cmd;
use host::temporary::Temporary;

/// The hash of the commit that a name refers to.
pub fn resolve(reference: &str, context: &Context) -> Result<String> {
    // Git would read it as an option.
    let is_option = reference.starts_with('-');
    let name = format!("{reference}^{{commit}}");
    let found = git(context).args(["rev-parse", "--verify", "--quiet", &name]);
    if !is_option && !reference.is_empty() {
        let found = found.capture()?;
        if found.success() {
            return Ok(found.stdout.trim().to_owned());
        }
    }
    let shallow = git(context).args(["rev-parse", "--is-shallow-repository"]).capture()?;
    let (why, remedy) = match shallow.stdout.trim() {
        "true" => (
            "this clone is shallow and older commits were not fetched",
            "`git fetch --unshallow`; in a workflow, `fetch-depth: 0` for actions/checkout",
        ),
        "false" => ("unknown commit", "`git fetch`, or name another commit (`git log` lists them)"),
        _ => (
            shallow.stderr.lines().next().unwrap_or("this is not a git repository"),
            "run this in a clone, or name services instead of a commit",
        ),
    };
    Err(Failure::new(FailureClass::Usage, format!("--changed-since `{reference}`: {why}"), remedy).into())
}

/// Extracts the tree of a commit without touching the checkout or git's index.
pub fn extract(commit: &str, context: &Context) -> Result<Temporary> {
    let folder = Temporary::new("changes")?;
    // In a subfolder of a repository, git archives only that folder.
    let archive = git(context).args(["archive", "--format=tar", commit]).reader()?;
    tar::Archive::new(archive)
        .unpack(folder.path())
        .with_context(|| format!("cannot extract commit {commit} to {}", folder.path().display()))?;
    Ok(folder)
}

fn git(context: &Context) -> Cmd {
    context.docker.runner.cmd("git").env("LC_ALL", "C.UTF-8").dir(context.repository.root())
}
