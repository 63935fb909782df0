//! The lock on a project's tags, and the journal of the run that holds it.
//!
//! Tags live in the engine, so the lock does too: it is a container that is created but never started. Docker rejects a second
//! container of the same name from any client, so creating the container acquires the lock. Its labels record the holder and
//! the tags to move in the same step. Removing the container by its ID releases the lock and deletes the journal.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::containers::ContainerInspect;
use crate::docker::Docker;
use crate::empty_image;
use crate::labels;
use crate::signs::{failed, unexpected_error};
use host::failure::Failure;
use host::paths::Repository;
use host::process_name::{self, Life, ProcessName};

/// What a lock protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// A project's tags.
    Tags,
    /// The recovery from a killed holder of [`LockKind::Tags`].
    Recovery,
}

impl LockKind {
    /// The container's name.
    pub fn container(self, project: &str) -> String {
        let valid = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
        let project: String = project.chars().map(valid).collect();
        match self {
            LockKind::Tags => format!("{project}-images-lock"),
            LockKind::Recovery => format!("{project}-images-recovery"),
        }
    }
}

/// A tag and the images that a run moves it from and to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagMove {
    /// The tag.
    pub tag: String,
    /// The ID of the old image; `None` for a new tag.
    pub from: Option<String>,
    /// The ID of the new image.
    pub to: String,
}

/// The run that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its [`ProcessName`].
    process: String,
    /// Its machine, for messages.
    host: String,
    /// Its checkout, for messages.
    checkout: String,
}

/// An existing lock. Its holder may have been killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLock {
    /// The container's ID.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// The holder.
    pub holder: Holder,
    /// The tags that the holder moves.
    pub moves: Vec<TagMove>,
}

impl FoundLock {
    /// The message to show while waiting for the lock.
    pub fn wait_message(&self) -> String {
        format!("Waiting for another run that is moving tags: {}", self.holder)
    }
}

impl Holder {
    /// This process, for a checkout.
    pub fn current(repository: &Repository) -> Holder {
        Holder {
            process: ProcessName::current().to_string(),
            host: process_name::host(),
            checkout: repository.root().display().to_string(),
        }
    }

    /// Whether it still runs.
    pub fn life(&self) -> Life {
        self.process.parse().map_or(Life::Unknown, |process: ProcessName| process.life())
    }

    /// Whether it is this process, in which case an earlier step did not release the lock.
    pub fn is_this_process(&self) -> bool {
        let name: Result<ProcessName, ()> = self.process.parse();
        name.is_ok_and(|name| name.pid == std::process::id() && name.life() == Life::Runs)
    }

    /// When it began to acquire the lock, by its own clock.
    pub fn since(&self) -> SystemTime {
        let at = self.process.parse().map_or(0, |process: ProcessName| process.at);
        UNIX_EPOCH + Duration::from_millis(at)
    }
}

/// `process 17 on HOST, in CHECKOUT, since TIME`.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(process) = self.process.parse::<ProcessName>() {
            write!(f, "process {} ", process.pid)?;
        }
        let since = humantime::format_rfc3339_seconds(self.since());
        write!(f, "on {}, in {}, since {since}", self.host, self.checkout)
    }
}

impl Docker {
    /// Acquires a lock and records the moves. Returns the lock's ID, or `None` if another run holds it.
    ///
    /// Ignores Ctrl-C: if interrupted, we could not tell whether the lock was acquired.
    ///
    /// # Errors
    /// When docker fails for another reason.
    pub fn create_lock(&self, name: &str, holder: &Holder, moves: &[TagMove]) -> Result<Option<String>> {
        let journal = journal_of(moves)?;
        // The size of an argument list is limited. In a label file, only the length of a line is (64 KiB).
        let args = ["create", "--pull=never", "--network=none", "--label-file=/dev/stdin", "--name", name];
        let args = args.map(str::to_owned).into_iter().chain(owner_of(holder, moves.len())?);
        // Docker requires a command even though the container never starts.
        let args: Vec<String> = args.chain([empty_image::NAME, "lock"].map(str::to_owned)).collect();
        let output =
            self.with_empty_image(|| self.cmd(args.clone()).stdin(journal.clone()).apart().capture())?;
        if output.success() {
            return Ok(Some(output.stdout.trim().to_owned()));
        }
        if output.stderr.contains("already in use") {
            return Ok(None);
        }
        let line = unexpected_error(&output).unwrap_or("docker printed no error");
        Err(failed("docker cannot create the lock on tags", line).into())
    }

    /// Finds the lock in the container of this name.
    ///
    /// # Errors
    /// When docker fails, or the container is not a lock that this version can read.
    pub fn find_lock(&self, name: &str) -> Result<Option<FoundLock>> {
        let Some(container) = self.inspect_existing::<ContainerInspect>("container", [name])?.pop() else {
            return Ok(None);
        };
        let labels = container.config.labels.unwrap_or_default();
        let (holder, moves) = read_labels(&labels).map_err(|error| {
            let what = format!(
                "cannot read the lock in container {name}, possibly from another version of this program: {error:#}"
            );
            Failure::machine(what, format!("if no run is active, remove it: docker rm {name}"))
        })?;
        Ok(Some(FoundLock { id: container.id, name: name.to_owned(), holder, moves }))
    }

    /// Releases a lock. Returns false if it no longer existed.
    ///
    /// # Errors
    /// When docker fails.
    pub fn remove_lock(&self, id: &str) -> Result<bool> {
        let output = self.cmd(["rm", id]).apart().capture()?;
        match unexpected_error(&output) {
            Some(line) => Err(failed("docker cannot remove the lock on tags", line).into()),
            None => Ok(output.success()),
        }
    }
}

/// The `--label` options for the holder and the number of moves.
fn owner_of(holder: &Holder, moves: usize) -> Result<Vec<String>> {
    let holder = format!("--label={}={}", labels::LOCK_HOLDER, serde_json::to_string(holder)?);
    Ok(vec![holder, format!("--label={}={moves}", labels::LOCK_MOVES)])
}

/// The moves as the content of a label file.
fn journal_of(moves: &[TagMove]) -> Result<String> {
    let mut text = String::new();
    for (index, step) in moves.iter().enumerate() {
        writeln!(text, "{}{index:05}={}", labels::LOCK_MOVE, serde_json::to_string(step)?)?;
    }
    Ok(text)
}

/// An incomplete journal counts as empty: its run was killed while creating the lock, before it moved any tag.
fn read_labels(labels: &BTreeMap<String, String>) -> Result<(Holder, Vec<TagMove>)> {
    let holder = labels.get(labels::LOCK_HOLDER).context("missing holder")?;
    let count = labels.get(labels::LOCK_MOVES).context("missing number of moves")?.parse::<usize>()?;
    let moves = labels.iter().filter(|(name, _)| name.starts_with(labels::LOCK_MOVE));
    let moves: Vec<TagMove> = moves.filter_map(|(_, step)| serde_json::from_str(step).ok()).collect();
    let is_whole = moves.len() == count;
    Ok((serde_json::from_str(holder)?, if is_whole { moves } else { Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_any_size_survives_labels_in_its_order() {
        let holder = Holder {
            process: ProcessName::current().to_string(),
            host: "h".into(),
            checkout: "/a\nb=c".into(),
        };
        let step = |index| TagMove {
            tag: format!("x-{index}:1"),
            from: (index > 0).then(|| format!("sha256:{index}")),
            to: "sha256:new".into(),
        };
        let moves: Vec<TagMove> = (0..1200).map(step).collect();
        let text = journal_of(&moves).unwrap();
        assert!(text.lines().all(|line| line.len() < 64 * 1024));
        let owner = owner_of(&holder, moves.len()).unwrap();
        let labels = |journal: &str| {
            let options = owner.iter().map(|option| option.trim_start_matches("--label="));
            let labels =
                options.chain(journal.lines()).map(|line| line.split_once('=').unwrap_or((line, "")));
            labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        assert_eq!(read_labels(&labels(&text)).unwrap(), (holder.clone(), moves));
        for end in [text.len() - 5, text.len() / 2, 0] {
            assert_eq!(read_labels(&labels(&text[..end])).unwrap(), (holder.clone(), Vec::new()), "{end}");
        }
        assert!(holder.life() == Life::Runs && holder.is_this_process());
        assert!(holder.to_string().starts_with(&format!("process {} on h, in /a", std::process::id())));
    }

    #[test]
    fn a_foreign_container_is_not_a_lock() {
        assert!(read_labels(&BTreeMap::new()).is_err());
        let labels = BTreeMap::from([(labels::LOCK_HOLDER.to_owned(), "{}".to_owned())]);
        assert!(read_labels(&labels).is_err());
    }

    #[test]
    fn the_name_is_valid_for_any_project() {
        assert_eq!(LockKind::Tags.container("my project"), "my-project-images-lock");
        assert_ne!(LockKind::Tags.container("p"), LockKind::Recovery.container("p"));
    }
}
