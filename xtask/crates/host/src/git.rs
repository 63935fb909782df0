//! Git, as far as xtask asks it. Every call stands here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::{Cmd, ProcessError, Runner};

/// Separates the fields of a commit in git's output; no subject contains it.
const FIELD: char = '\u{1f}';

/// The git command line in one checkout.
#[derive(Debug, Clone)]
pub struct Git(Cmd);

/// Everything that differs from the commit that is checked out.
#[derive(Debug)]
pub struct WorkingTreeChanges {
    /// Binary diff of the tracked files.
    pub diff: String,
    /// Files that git neither tracks nor ignores, relative to the checkout.
    pub untracked: Vec<String>,
}

/// A commit of a file's history.
#[derive(Debug)]
pub struct LogEntry {
    /// The full hash.
    pub commit: String,
    /// The author's day, `YYYY-MM-DD`.
    pub day: String,
    /// First line of the message.
    pub subject: String,
}

impl Git {
    /// Git in the checkout at `root`. Its output is read, so it speaks plain English whatever the locale; and it takes no
    /// lock that it can do without, so that it is never in the way of a `git` that a person runs.
    pub fn new(runner: &Runner, root: &Path) -> Git {
        Git(runner.cmd("git").env("LC_ALL", "C.UTF-8").env("GIT_OPTIONAL_LOCKS", "0").dir(root))
    }

    fn cmd(&self, args: &[&str]) -> Cmd {
        self.0.clone().args(args.iter().copied())
    }

    /// The commit that is checked out; `None` outside git and before the first commit.
    pub fn head(&self) -> Option<String> {
        self.cmd(&["rev-parse", "--verify", "--quiet", "HEAD"]).read().ok()
    }

    /// The commit that is checked out; `None` if there are changes or untracked files.
    pub fn clean_head(&self) -> Option<String> {
        let args =
            ["status", "--porcelain=v2", "--branch", "--untracked-files=all", "--ignore-submodules=none"];
        let status = self.cmd(&args).read().ok()?;
        let is_clean = status.lines().all(|line| line.starts_with("# "));
        let head = status.lines().find_map(|line| line.strip_prefix("# branch.oid "));
        head.filter(|head| is_clean && !head.starts_with('(')).map(str::to_owned)
    }

    /// The commit, with `-dirty` where the working tree differs from it; `unknown` outside git.
    pub fn revision(&self) -> String {
        let described = self.cmd(&["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]).read();
        described.unwrap_or_else(|_| "unknown".to_owned())
    }

    /// The URL of the remote `origin`, which may contain credentials; `None` if the remote is not configured.
    pub fn origin(&self) -> Option<String> {
        self.cmd(&["remote", "get-url", "origin"]).read().ok().filter(|url| !url.is_empty())
    }

    /// The commit that a name stands for; `None` when there is no such commit.
    ///
    /// # Errors
    /// When git cannot be started.
    pub fn resolve(&self, name: &str) -> Result<Option<String>> {
        // To git, a leading dash would be an option.
        if name.is_empty() || name.starts_with('-') {
            return Ok(None);
        }
        let commit = format!("{name}^{{commit}}");
        let output = self.cmd(&["rev-parse", "--verify", "--quiet", &commit]).capture()?;
        Ok(output.success().then(|| output.stdout.trim().to_owned()))
    }

    /// Whether this clone lacks older commits.
    ///
    /// # Errors
    /// What git prints outside a repository.
    pub fn is_shallow(&self) -> Result<bool, ProcessError> {
        Ok(self.cmd(&["rev-parse", "--is-shallow-repository"]).read()? == "true")
    }

    /// Unpacks the tree of a commit into a temporary folder; in a subfolder of a repository, that subfolder alone. Neither
    /// the checkout nor git's own files change.
    ///
    /// # Errors
    /// When git fails or the disk is full.
    pub fn unpack(&self, commit: &str) -> Result<TempDir> {
        let folder = tempfile::Builder::new()
            .prefix("xtask-")
            .tempdir()
            .context("cannot create a temporary folder")?;
        let archive = self.cmd(&["archive", "--format=tar", commit]).reader()?;
        tar::Archive::new(archive)
            .unpack(folder.path())
            .with_context(|| format!("cannot unpack commit {commit} into {}", folder.path().display()))?;
        Ok(folder)
    }

    /// Paths that are modified, staged or untracked.
    ///
    /// # Errors
    /// When git fails.
    pub fn uncommitted(&self) -> Result<Vec<String>> {
        let status = self.cmd(&["status", "--porcelain"]).read().context("cannot read the git status")?;
        Ok(status.lines().filter_map(|line| line.get(3..)).map(str::to_owned).collect())
    }

    /// The changes since the commit that is checked out.
    ///
    /// # Errors
    /// When git fails.
    pub fn changes(&self) -> Result<WorkingTreeChanges> {
        let diff = self
            .cmd(&["diff", "--no-ext-diff", "--binary", "HEAD"])
            .read()
            .context("cannot read the diff")?;
        let untracked = self.cmd(&["ls-files", "--others", "--exclude-standard", "-z"]).read();
        let untracked = untracked.context("cannot list untracked files")?;
        let names = untracked.split('\0').filter(|name| !name.is_empty());
        Ok(WorkingTreeChanges { diff, untracked: names.map(str::to_owned).collect() })
    }

    /// Files that differ from a commit, or that git neither tracks nor ignores, relative to the checkout.
    ///
    /// # Errors
    /// When git fails.
    pub fn changed_since(&self, commit: &str) -> Result<Vec<String>> {
        let names = |args: &[&str]| -> Result<Vec<String>> {
            let list = self.cmd(args).read().context("cannot list changed files")?;
            Ok(list.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
        };
        let mut changed =
            names(&["diff", "--no-ext-diff", "--no-renames", "--name-only", "--relative", "-z", commit])?;
        changed.extend(names(&["ls-files", "--others", "--exclude-standard", "-z"])?);
        Ok(changed)
    }

    /// The tracked files below a folder (`.` for all of them), relative to the checkout.
    ///
    /// # Errors
    /// When git fails.
    pub fn tracked(&self, folder: &str) -> Result<Vec<String>> {
        // Without `-z`, git quotes unusual names.
        let list = self.cmd(&["ls-files", "-z", "--", folder]).read().context("cannot list tracked files")?;
        Ok(list.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// The files that git tracks, also in submodules, and those that it neither tracks nor ignores; relative to the folder.
    /// `None` outside git.
    pub fn visible(&self) -> Option<Vec<String>> {
        let tracked = self.cmd(&["ls-files", "-z", "--cached", "--recurse-submodules"]).read().ok()?;
        let others = self.cmd(&["ls-files", "-z", "--others", "--exclude-standard"]).read().ok()?;
        let names = tracked.split('\0').chain(others.split('\0')).filter(|name| !name.is_empty());
        Some(names.map(str::to_owned).collect())
    }

    /// The paths, relative to the folder, that git ignores. They need not exist. Empty outside a git repository.
    pub fn ignored(&self, paths: &[String]) -> BTreeSet<String> {
        let text = paths.join("\0");
        let output = self.cmd(&["check-ignore", "-z", "--stdin"]).stdin(text).capture();
        // Git exits with 1 if it ignores none.
        let list = output.map(|output| output.stdout).unwrap_or_default();
        list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect()
    }

    /// The top folder of the work tree; `None` outside git.
    pub fn top(&self) -> Option<PathBuf> {
        self.cmd(&["rev-parse", "--show-toplevel"]).read().ok().map(PathBuf::from)
    }

    /// The newest `limit` commits of the first-parent history that changed a file; `None` outside git.
    pub fn log(&self, file: &str, limit: usize) -> Option<Vec<LogEntry>> {
        let format = format!("--format=%H{FIELD}%as{FIELD}%s");
        let limit = format!("--max-count={limit}");
        let log = self.cmd(&["log", "--first-parent", "-m", &limit, &format, "--", file]).read().ok()?;
        let entry = |line: &str| {
            let mut fields = line.splitn(3, FIELD).map(str::to_owned);
            Some(LogEntry { commit: fields.next()?, day: fields.next()?, subject: fields.next()? })
        };
        Some(log.lines().filter_map(entry).collect())
    }

    /// A file as of a commit; `None` where it does not exist.
    pub fn show(&self, commit: &str, file: &str) -> Option<String> {
        // Without `./` the path would be relative to the root of the work tree.
        self.cmd(&["show", &format!("{commit}:./{file}")]).read().ok()
    }
}
