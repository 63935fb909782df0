//! Git, as far as xtask asks it. Every call stands here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process::{Cmd, ProcessError, Runner};

/// Separates the fields of a commit in git's output; no subject contains it.
const FIELD: char = '\u{1f}';

/// Marks the start of each commit in git's output.
const RECORD: char = '\u{1e}';

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

/// A commit of the history.
#[derive(Debug, Clone)]
pub struct LogEntry {
    /// The full hash.
    pub commit: String,
    /// The author's day, `YYYY-MM-DD`.
    pub day: String,
    /// First line of the message.
    pub subject: String,
    /// The files that were asked about and that it changed: of one file's history, its path from the top of the work tree, which
    /// differs before a rename; else every changed file, relative to the checkout.
    pub files: Vec<String>,
}

/// The abbreviated hash of a commit, for messages.
pub fn short(commit: &str) -> &str {
    commit.get(..8).unwrap_or(commit)
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
        let mut changed = self.names(&[
            "diff",
            "--no-ext-diff",
            "--no-renames",
            "--name-only",
            "--relative",
            "-z",
            commit,
        ])?;
        changed.extend(self.names(&["ls-files", "--others", "--exclude-standard", "-z"])?);
        Ok(changed)
    }

    /// Names that git prints, each followed by a null character.
    fn names(&self, args: &[&str]) -> Result<Vec<String>> {
        let list = self.cmd(args).read().context("cannot list changed files")?;
        Ok(list.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
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

    /// The newest commits of the first-parent history that changed a file, at most `limit`. Follows renames of the file.
    /// `None` outside git.
    pub fn log(&self, file: &str, limit: Option<usize>) -> Option<Vec<LogEntry>> {
        let limit = limit.map(|limit| format!("--max-count={limit}"));
        let args: Vec<&str> = ["--first-parent", "-m", "--follow"]
            .into_iter()
            .chain(limit.as_deref())
            .chain(["--", file])
            .collect();
        self.entries(&args).ok()
    }

    /// The commits in `from..to`, newest first, with the files that each changed. `first_parent` follows only the
    /// first parent of merges, and attributes merged changes to the merge; without it, merges are left out.
    ///
    /// # Errors
    /// When git fails.
    pub fn commits(&self, from: &str, to: &str, first_parent: bool) -> Result<Vec<LogEntry>> {
        let merges: &[&str] = if first_parent { &["--first-parent", "-m"] } else { &["--no-merges"] };
        let range = format!("{from}..{to}");
        let args = [merges, &["--no-renames", "--relative", &range, "--", "."]].concat();
        self.entries(&args).with_context(|| format!("cannot list the commits {range}"))
    }

    fn entries(&self, args: &[&str]) -> Result<Vec<LogEntry>, ProcessError> {
        let format = format!("--format={RECORD}%H{FIELD}%as{FIELD}%s");
        let log = self.cmd(&["-c", "core.quotePath=off", "log", "--name-only", "--no-ext-diff", &format]);
        let log = log.args(args.iter().copied()).read()?;
        let entry = |text: &str| {
            let (head, files) = text.split_once('\n').unwrap_or((text, ""));
            let mut fields = head.splitn(3, FIELD).map(str::to_owned);
            let files = files.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            Some(LogEntry { commit: fields.next()?, day: fields.next()?, subject: fields.next()?, files })
        };
        Ok(log.split(RECORD).filter(|text| !text.is_empty()).filter_map(entry).collect())
    }

    /// A file at a commit, by its path from the top of the work tree; `None` where it does not exist.
    pub fn show(&self, commit: &str, path: &str) -> Option<String> {
        self.cmd(&["show", &format!("{commit}:{path}")]).read().ok()
    }

    /// Whether a commit is known not to contain a path, which is relative to the top of the work tree.
    pub fn lacks(&self, commit: &str, path: &str) -> bool {
        self.cmd(&["ls-tree", "--full-tree", commit, "--", path]).read().is_ok_and(|found| found.is_empty())
    }

    /// Files that differ between two commits, relative to the checkout.
    ///
    /// # Errors
    /// When git fails.
    pub fn changed_between(&self, from: &str, to: &str) -> Result<Vec<String>> {
        self.names(&["diff", "--no-ext-diff", "--no-renames", "--name-only", "--relative", "-z", from, to])
    }

    /// The difference of a file between two commits, without context lines; empty if they are equal.
    ///
    /// # Errors
    /// When git fails.
    pub fn difference(&self, from: &str, to: &str, file: &str) -> Result<String> {
        let args =
            ["diff", "--no-ext-diff", "--no-color", "--no-renames", "--unified=0", "--relative", from, to];
        let diff = self.cmd(&args).args(["--", file]).read();
        diff.with_context(|| format!("cannot compare {file} of two commits"))
    }

    /// Whether a commit is an ancestor of another, or the same commit.
    pub fn is_ancestor(&self, commit: &str, of: &str) -> bool {
        let check = self.cmd(&["merge-base", "--is-ancestor", commit, of]).capture();
        check.is_ok_and(|output| output.success())
    }

    /// Checks a commit out into a new folder, as a linked work tree. Runs no hook.
    ///
    /// # Errors
    /// When git fails or the disk is full.
    pub fn add_worktree(&self, folder: &Path, commit: &str) -> Result<()> {
        let folder = folder.to_string_lossy();
        let args = [
            "-c",
            "core.hooksPath=/dev/null",
            "worktree",
            "add",
            "--quiet",
            "--force",
            "--detach",
            &folder,
            commit,
        ];
        self.cmd(&args).read().with_context(|| format!("cannot check out commit {commit}")).map(drop)
    }

    /// Makes git forget a linked work tree whose folder is gone. Others stay known, even if their folders are missing.
    pub fn forget_worktree(&self, folder: &Path) {
        self.cmd(&["worktree", "remove", "--force", &folder.to_string_lossy()]).read().ok();
    }
}
