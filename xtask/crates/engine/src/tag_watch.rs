//! Waits while a run moves the project's tags: before the first image is inspected, and around deployments. Warns if a run was
//! killed while moving them.

use host::program::PROGRAM;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;

use crate::docker::Docker;
use crate::lock::{FoundLock, LockKind};
use host::paths::Repository;
use host::plural::count;
use host::process_name::Life;
use host::terminal::Terminal;
use host::wait;
use model::reader;

/// The polling interval for a lock.
pub const LOOK: Duration = Duration::from_millis(100);

/// What was already checked and reported; clones share this state.
#[derive(Debug, Clone)]
pub struct TagWatch {
    repository: Repository,
    terminal: Terminal,
    looked: Arc<AtomicBool>,
    warned: Arc<AtomicBool>,
}

impl TagWatch {
    /// Watches the tags of a checkout's project.
    pub fn new(repository: &Repository, terminal: &Terminal) -> TagWatch {
        let (repository, terminal) = (repository.clone(), terminal.clone());
        TagWatch { repository, terminal, looked: Arc::default(), warned: Arc::default() }
    }

    /// Disables the check before the first image, for a run that acquires the lock itself.
    pub fn stop(&self) {
        self.looked.store(true, Ordering::SeqCst);
    }
}

impl Docker {
    /// Waits while a run on this machine moves tags. Warns if a run was killed while moving them, or its state is unknown.
    ///
    /// # Errors
    /// When interrupted.
    pub(crate) fn watch_tags(&self) -> Result<()> {
        let Some(watch) = &self.watch else { return Ok(()) };
        if watch.looked.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.wait_for_moves(watch)
    }

    /// The ID of each image, read while no run on this machine moves tags. Missing images are left out.
    ///
    /// # Errors
    /// When docker fails, or interrupted.
    pub fn settled_ids(&self, references: &[String]) -> Result<BTreeMap<String, String>> {
        let ids = || -> Result<BTreeMap<String, String>> {
            let images = self.inspect(references)?.into_iter();
            Ok(images.map(|(reference, image)| (reference, image.id)).collect())
        };
        let mut last = ids()?;
        let Some(watch) = &self.watch else { return Ok(last) };
        // Docker reads one tag after the other. All of them are from one moment if a second read finds the same IDs and no run
        // held the lock in between.
        loop {
            self.wait_for_moves(watch)?;
            let now = ids()?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Waits while a run on this machine holds the lock on tags. Warns once if its holder was killed, or its state is unknown.
    fn wait_for_moves(&self, watch: &TagWatch) -> Result<()> {
        // Without a valid manifest, no run acquires the lock.
        let Ok(manifest) = reader::load(&watch.repository) else { return Ok(()) };
        let name = LockKind::Tags.container(&manifest.project);
        let mut waits = false;
        // Engine errors are ignored here: inspecting the image will report them.
        while let Ok(Some(found)) = self.find_lock(&name) {
            match found.holder.life() {
                Life::Runs => {}
                // It had not moved any tag.
                Life::Gone if found.moves.is_empty() => break,
                _ => {
                    if !watch.warned.swap(true, Ordering::SeqCst) {
                        watch.terminal.warn(pending(&found));
                    }
                    break;
                }
            }
            if !waits {
                watch.terminal.say(found.wait_message());
                waits = true;
            }
            wait::pause(LOOK, &self.runner.interrupt)?;
        }
        Ok(())
    }
}

fn pending(found: &FoundLock) -> String {
    let (holder, tags) = (&found.holder, count(found.moves.len(), "tag"));
    let (what, remedy) = match holder.life() {
        Life::Gone => {
            ("was killed while it moved", format!("`{PROGRAM} build-images` completes or reverts the moves"))
        }
        _ => ("moves", format!("wait; if that run is over: {PROGRAM} build-images --break-lock")),
    };
    format!("{holder}, {what} {tags}, which may be old or new\nhelp: {remedy}")
}
