//! What a run has on the machine while it measures: a folder, containers, tags. It goes when the run does, and what a killed
//! run left goes with the next.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use engine::context::Context;
use engine::docker::Docker;
use engine::labels;
use engine::side_engine;
use engine::side_engine::SideEnginePaths;
use host::files;
use host::files::Lock;
use host::interrupt::Interrupt;
use host::terminal::Terminal;
use host::wait;
use model::manifest::Manifest;
use stack::{probes, throwaway};

/// Between two attempts to remove a folder, and how long they go on.
const PAUSE: Duration = Duration::from_millis(100);
const DEADLINE: Duration = Duration::from_secs(5);
/// Tags that the engine was given, one a line.
const TAGS: &str = "tags";
/// The name of the second engine's bridge.
const BRIDGE: &str = "bridge";

/// A run's own.
#[derive(Debug)]
pub struct Session {
    name: String,
    folder: PathBuf,
    docker: Docker,
    terminal: Terminal,
    is_gone: bool,
    #[allow(dead_code, reason = "held for the run")]
    lock: Lock,
}

impl Session {
    /// Begins one, after the remains of killed ones are removed.
    ///
    /// # Errors
    /// When another run measures in this checkout, or a remainder cannot be removed.
    pub fn begin(manifest: &Manifest, context: &Context) -> Result<Session> {
        let lock = Lock::take(&context.repository.measure_lock())?;
        // With the lock in hand, whatever stands there is nobody's.
        let all = context.repository.measurements();
        for folder in fs::read_dir(&all).into_iter().flatten().flatten().map(|entry| entry.path()) {
            remove(&folder, &context.docker).context("what a killed `measure` left cannot be removed")?;
        }
        throwaway::sweep(manifest, context);
        let name = format!("xtask-measure-{}", probes::word());
        let folder = all.join(&name);
        files::create_dir(&folder)?;
        let (docker, terminal) = (context.docker.clone(), context.terminal.clone());
        Ok(Session { name, folder, docker, terminal, is_gone: false, lock })
    }

    /// Room for files of a purpose; it goes with the run, or earlier.
    pub fn folder(&self, purpose: &str) -> PathBuf {
        self.folder.join(purpose)
    }

    /// Where a second engine is to be. On disk before it is made, as with tags.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn side_engine(&self) -> Result<SideEnginePaths> {
        let bridge = format!("xtm{}", std::process::id());
        files::write_atomically(&self.folder.join(BRIDGE), bridge.as_bytes())?;
        Ok(SideEnginePaths { data: self.folder("engine"), sockets: sockets(&self.name), bridge })
    }

    /// What marks a container as this run's.
    pub fn label(&self) -> String {
        label(&self.name)
    }

    /// Gives an image a tag, for as long as the run takes.
    ///
    /// # Errors
    /// When docker refuses.
    pub fn tag(&self, id: &str, tag: &str) -> Result<()> {
        let path = self.folder.join(TAGS);
        // On disk before it is done: a run that is killed between the two leaves nothing that the next does not know.
        let known = files::read_if_there(&path)?.unwrap_or_default();
        files::write_atomically(&path, format!("{known}{tag}\n").as_bytes())?;
        Ok(self.docker.tag(id, tag)?)
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// When something stays; the next run tries again.
    pub fn end(mut self) -> Result<()> {
        self.is_gone = true;
        remove(&self.folder, &self.docker)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_gone
            && let Err(error) = remove(&self.folder, &self.docker)
        {
            self.terminal.error(format!("something stays behind, the next `measure` removes it: {error:#}"));
        }
    }
}

fn label(name: &str) -> String {
    format!("{}={name}", labels::MEASURE_RUN)
}

fn sockets(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

/// All that a session of this folder may have: containers, tags, sockets, the folder itself, in this order, so that what fails
/// is found again by the folder.
fn remove(folder: &Path, docker: &Docker) -> Result<()> {
    let name = folder.file_name().and_then(|name| name.to_str()).context("a folder without a name")?;
    remove_containers(name, docker)?;
    let tags = files::read_if_there(&folder.join(TAGS))?.unwrap_or_default();
    docker.remove(&tags.lines().map(str::to_owned).collect::<Vec<_>>())?;
    if let Some(bridge) = files::read_if_there(&folder.join(BRIDGE))? {
        side_engine::remove_bridge(docker, bridge.trim())?;
    }
    remove_folder(&sockets(name))?;
    remove_folder(folder)
}

fn remove_containers(name: &str, docker: &Docker) -> Result<()> {
    wait::until_gone(name, || {
        let ids = docker.containers_with_label(labels::MEASURE_RUN, name)?;
        if !ids.is_empty() {
            docker.remove_containers(&ids)?;
        }
        Ok(!ids.is_empty())
    })
}

/// What a process had open that was just killed may still be written to for a moment.
pub fn remove_folder(folder: &Path) -> Result<()> {
    // Not interruptible: it cleans up.
    let mut failed = None;
    wait::poll(PAUSE, DEADLINE, &Interrupt::default(), || {
        failed = files::remove_dir(folder).err();
        Ok(failed.is_none().then_some(()))
    })?;
    failed.map_or(Ok(()), Err)
}
