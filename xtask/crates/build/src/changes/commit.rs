//! Commits: which one a name means, and its tree in a folder of its own.

use std::fmt;

use anyhow::{Context as _, Result};

use engine::context::Context;
use host::process::Cmd;
use host::temporary::Temporary;

/// A name that means no commit here, with what to do: wrong usage.
#[derive(Debug)]
pub struct NoCommit(String);

impl fmt::Display for NoCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoCommit {}

/// The commit that a name means.
///
/// # Errors
/// [`NoCommit`], or that there is no git.
pub fn resolve(reference: &str, context: &Context) -> Result<String> {
    // To git this would be an option.
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
    let why = match shallow.stdout.trim() {
        "true" => "this clone is shallow: what is older was not fetched\n  remedy: `git fetch --unshallow`; in a workflow, \
                   `fetch-depth: 0` for actions/checkout"
            .to_owned(),
        "false" => "git knows no commit of that name\n  remedy: `git fetch`, or name another (`git log` has them)".to_owned(),
        _ => format!(
            "{}\n  remedy: run this in a clone, or name services in place of a commit",
            shallow.stderr.lines().next().unwrap_or("this is no git repository")
        ),
    };
    Err(NoCommit(format!("--changed-since `{reference}`: {why}")).into())
}

/// The tree of a commit, without touching the checkout or git's own records.
///
/// # Errors
/// When git or the disk refuses.
pub fn lay_out(commit: &str, context: &Context) -> Result<Temporary> {
    let folder = Temporary::new("changes")?;
    // In a subfolder of a repository, git makes an archive of that folder alone.
    let archive = git(context).args(["archive", "--format=tar", commit]).reader()?;
    tar::Archive::new(archive)
        .unpack(folder.path())
        .with_context(|| format!("cannot lay out commit {commit} in {}", folder.path().display()))?;
    Ok(folder)
}

fn git(context: &Context) -> Cmd {
    context.docker.runner.cmd("git").env("LC_ALL", "C.UTF-8").dir(context.repository.root())
}
