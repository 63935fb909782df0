//! What a run keeps on the machine while it measures: a folder, containers, tags, a bridge. The run removes it at its end; the next
//! run removes what a killed one left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use engine::context::Context;
use engine::docker::Docker;
use engine::labels;
use engine::side_engine::{self, SideEnginePaths};
use host::files::{self, Lock};
use host::terminal::Terminal;
use host::wait;
use model::manifest::Manifest;
use stack::{probes, throwaway};

/// How often to check what a removal left.
const PAUSE: Duration = Duration::from_millis(100);
const TRIES: u32 = 50;
/// File: tags that were added to the engine, one a line.
const TAGS: &str = "tags";
/// File: the name of the second engine's bridge.
const BRIDGE: &str = "bridge";

/// The resources of one run.
#[derive(Debug)]
pub(crate) struct Session {
    name: String,
    folder: PathBuf,
    docker: Docker,
    terminal: Terminal,
    is_gone: bool,
    #[allow(dead_code, reason = "held for the run")]
    lock: Lock,
}

impl Session {
    /// Begins a session, after removing what killed runs left.
    pub fn begin(manifest: &Manifest, context: &Context) -> Result<Session> {
        let lock = Lock::take(&context.repository.measure_lock())?;
        // With the lock held, every folder there is abandoned.
        let all = context.repository.measurements();
        for folder in fs::read_dir(&all).into_iter().flatten().flatten().map(|entry| entry.path()) {
            remove(&folder, &context.docker).context("cannot remove what a killed `measure` left")?;
        }
        throwaway::sweep(manifest, context);
        let name = format!("xtask-measure-{}", probes::plan::unique_word());
        let folder = all.join(&name);
        files::create_dir(&folder)?;
        let (docker, terminal) = (context.docker.clone(), context.terminal.clone());
        Ok(Session { name, folder, docker, terminal, is_gone: false, lock })
    }

    /// The path of a folder that is removed at the end of the session.
    pub fn folder(&self, purpose: &str) -> PathBuf {
        self.folder.join(purpose)
    }

    /// The place of a second engine. Its bridge is on record before it exists, as with tags.
    pub fn side_engine(&self) -> Result<SideEnginePaths> {
        let bridge = format!("xtm{}", std::process::id());
        files::write_atomically(&self.folder.join(BRIDGE), bridge.as_bytes())?;
        Ok(SideEnginePaths { data: self.folder("engine"), sockets: sockets(&self.name), bridge })
    }

    /// The label of this session's containers.
    pub fn label(&self) -> String {
        label(&self.name)
    }

    /// Tags an image until the end of the session.
    pub fn tag(&self, id: &str, tag: &str) -> Result<()> {
        let path = self.folder.join(TAGS);
        // On record before it exists, so that the next run finds it if this one is killed in between.
        let tags = files::read_if_there(&path)?.unwrap_or_default();
        files::write_atomically(&path, format!("{tags}{tag}\n").as_bytes())?;
        Ok(self.docker.tag(id, tag)?)
    }

    /// Removes everything.
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
            self.terminal
                .error(format!("cannot remove everything; the next `measure` tries again: {error:#}"));
        }
    }
}

fn label(name: &str) -> String {
    format!("{}={name}", labels::MEASURE_RUN)
}

fn sockets(name: &str) -> PathBuf {
    std::env::temp_dir().join(name)
}

/// Removes a session's containers, tags, bridge, sockets, and its folder last, so that the next run finds what failed.
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

/// Removes a folder; a process that was just killed may still write to it for a moment.
pub(crate) fn remove_folder(folder: &Path) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) if tries < TRIES => std::thread::sleep(PAUSE),
            result => return result.with_context(|| format!("cannot remove {}", folder.display())),
        }
    }
}
