//! The lock on a project's tags, and the journal of the run that holds it.
//!
//! Tags belong to the engine, so their lock does too: a container that is only created, never started. Docker refuses a second
//! container of the same name, whoever asks and from wherever, so creating it takes the lock, and its labels record in the same
//! step who holds it and which tags move. Removing it, by its ID, ends both.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::containers::ContainerInspect;
use crate::docker::Docker;
use crate::labels;
use crate::signs::{failed, unexpected_error};
use host::failure::Failure;
use host::paths::Repository;
use host::process_name::{self, Life, ProcessName};

/// The lock's image: nothing but a name. It is the same on every engine, so two runs may load it at once.
const IMAGE: &str = "xtask-lock:1";

/// What a lock protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// A project's tags.
    Tags,
    /// The right to finish what a killed holder of [`LockKind::Tags`] left.
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

/// The tag that a run moves.
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
    /// Its machine, for people.
    host: String,
    /// Its checkout, for people.
    checkout: String,
}

/// A lock that some run holds, or held when it was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLock {
    /// The container's ID.
    pub id: String,
    /// The container's name.
    pub name: String,
    /// Who holds it.
    pub holder: Holder,
    /// The tags that it moves.
    pub moves: Vec<TagMove>,
}

impl FoundLock {
    /// What a run says that waits for the lock.
    pub fn wait_message(&self) -> String {
        format!("Waiting for another run that moves tags: {}", self.holder)
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

    /// Whether it is this process, which takes a lock only once at a time.
    pub fn is_this_process(&self) -> bool {
        let name: Result<ProcessName, ()> = self.process.parse();
        name.is_ok_and(|name| name.pid == std::process::id() && name.life() == Life::Runs)
    }

    /// Since when it holds the lock, by its own clock.
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
    /// Takes a lock and records what it is for. Returns the lock's ID; `None` when another run holds it.
    ///
    /// Ctrl-C does not end this: nobody could tell whether the lock was taken.
    ///
    /// # Errors
    /// When docker fails for another reason.
    pub fn create_lock(&self, name: &str, holder: &Holder, moves: &[TagMove]) -> Result<Option<String>> {
        let journal = journal_of(moves)?;
        // An argument list has a limit, and so has a line of this file (64 KiB), but not the file.
        let args = ["create", "--pull=never", "--network=none", "--label-file=/dev/stdin", "--name", name];
        let args = args.map(str::to_owned).into_iter().chain(owner_of(holder, moves.len())?);
        // It never starts, but docker insists on a command.
        let args: Vec<String> = args.chain([IMAGE, "lock"].map(str::to_owned)).collect();
        let create = || self.cmd(args.clone()).stdin(journal.clone()).apart().capture();
        let mut output = create()?;
        if output.stderr.to_lowercase().contains("no such image") {
            let architecture = self.cmd(["version", "--format", "{{.Server.Arch}}"]).read()?;
            self.cmd(["load", "--quiet"]).stdin(lock_image(&architecture)?).apart().read()?;
            output = create()?;
        }
        if output.success() {
            return Ok(Some(output.stdout.trim().to_owned()));
        }
        if output.stderr.contains("already in use") {
            return Ok(None);
        }
        let line = unexpected_error(&output).unwrap_or("docker printed no error");
        Err(failed("docker cannot create the lock on tags", line).into())
    }

    /// Who holds a lock, and what for.
    ///
    /// # Errors
    /// When docker fails, or the container of this name is no lock that this version can read.
    pub fn find_lock(&self, name: &str) -> Result<Option<FoundLock>> {
        let Some(container) = self.inspect_existing::<ContainerInspect>("container", [name])?.pop() else {
            return Ok(None);
        };
        let labels = container.config.labels.unwrap_or_default();
        let (holder, moves) = read_labels(&labels).map_err(|error| {
            let what = format!(
                "cannot read the lock in container {name}, which may be of another version: {error:#}"
            );
            Failure::machine(what, format!("if no run is active, remove it: docker rm {name}"))
        })?;
        Ok(Some(FoundLock { id: container.id, name: name.to_owned(), holder, moves }))
    }

    /// Ends a lock. False when it was gone already.
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

/// The options that name the holder and the number of its moves.
fn owner_of(holder: &Holder, moves: usize) -> Result<Vec<String>> {
    let holder = format!("--label={}={}", labels::LOCK_HOLDER, serde_json::to_string(holder)?);
    Ok(vec![holder, format!("--label={}={moves}", labels::LOCK_MOVES)])
}

/// The lines of a label file.
fn journal_of(moves: &[TagMove]) -> Result<String> {
    let mut text = String::new();
    for (index, step) in moves.iter().enumerate() {
        writeln!(text, "{}{index:05}={}", labels::LOCK_MOVE, serde_json::to_string(step)?)?;
    }
    Ok(text)
}

/// A run that is killed while it hands over its journal leaves a part of it. It has not moved a tag then, so there is none.
fn read_labels(labels: &BTreeMap<String, String>) -> Result<(Holder, Vec<TagMove>)> {
    let holder = labels.get(labels::LOCK_HOLDER).context("no holder")?;
    let count = labels.get(labels::LOCK_MOVES).context("no number of moves")?.parse::<usize>()?;
    let moves = labels.iter().filter(|(name, _)| name.starts_with(labels::LOCK_MOVE));
    let moves: Vec<TagMove> = moves.filter_map(|(_, step)| serde_json::from_str(step).ok()).collect();
    let is_whole = moves.len() == count;
    Ok((serde_json::from_str(holder)?, if is_whole { moves } else { Vec::new() }))
}

/// An archive of an image without layers, as `docker load` reads it (moby, image/tarexport). The architecture is the engine's:
/// the containerd store creates no container of another.
fn lock_image(architecture: &str) -> Result<Vec<u8>> {
    let config =
        serde_json::json!({"architecture": architecture, "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {}, "rootfs": {"type": "layers", "diff_ids": []}, "history": []})
        .to_string();
    let digest: String = Sha256::digest(&config).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = format!("{digest}.json");
    let manifest = serde_json::json!([{"Config": file, "RepoTags": [IMAGE], "Layers": []}]).to_string();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in [(file.as_str(), &config), ("manifest.json", &manifest)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len())?);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    Ok(archive.into_inner()?)
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
    fn a_container_of_somebody_else_is_no_lock() {
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
