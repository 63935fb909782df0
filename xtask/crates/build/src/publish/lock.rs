//! Acquires the engine's lock: waits for live runs, recovers from killed ones, and fails if the holder's state is unknown.

use host::program::PROGRAM;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use crate::publish::{Publisher, moves};
use engine::lock::{FoundLock, Holder, LockKind, TagMove};
use engine::tag_watch::LOOK;
use host::failure::{Failure, FailureClass};
use host::process_name::Life;
use host::wait;

/// A run on another machine that holds the lock for longer was probably killed: moving a tag takes about 20 ms.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same limit for the lock's timestamp. It is longer because the other machine's clock may be wrong.
const OLD: Duration = Duration::from_mins(10);

/// A lock that this run holds.
#[derive(Debug)]
pub(super) struct TagLock {
    id: String,
}

/// The current wait for another run.
struct Wait {
    /// The ID of that run's lock.
    id: String,
    since: Instant,
}

impl Publisher<'_> {
    /// Acquires a lock and records the moves it protects.
    pub(super) fn take(&self, kind: LockKind, moves: &[TagMove]) -> Result<TagLock> {
        let docker = &self.context.docker;
        let (name, holder) = (kind.container(self.project), Holder::current(&self.context.repository));
        let mut wait = Wait { id: String::new(), since: Instant::now() };
        loop {
            docker.runner.interrupt.check()?;
            if let Some(id) = docker.create_lock(&name, &holder, moves)? {
                return Ok(TagLock { id });
            }
            // The holder may just have released it.
            let Some(found) = docker.find_lock(&name)? else { continue };
            if self.may_finish(&found) {
                self.finish(kind, &found)?;
                continue;
            }
            if wait.id != found.id {
                self.context.terminal.say(found.wait_message());
                wait = Wait { id: found.id.clone(), since: Instant::now() };
            }
            if found.holder.life() == Life::Unknown && (is_old(&found) || wait.since.elapsed() > PATIENCE) {
                return Err(refusal(&found).into());
            }
            wait::pause(LOOK, &docker.runner.interrupt)?;
        }
    }

    /// Releases a lock that this run holds.
    pub(super) fn release(&self, lock: TagLock) -> Result<()> {
        if self.context.docker.remove_lock(&lock.id)? {
            return Ok(());
        }
        let what = "tag lock removed while this run held it; another run may have changed some tags";
        let help =
            "build again; do not remove the lock's container or use --break-lock while a run is active";
        Err(Failure::new(FailureClass::Unfinished, what, help).into())
    }

    /// Completes or reverts the tag moves of a killed run, if any. Does not wait for a live run.
    ///
    /// # Errors
    /// When docker fails, or a run on another machine has held the lock for too long.
    pub fn settle(&self) -> Result<()> {
        if let Some(watch) = &self.context.docker.watch {
            watch.stop();
        }
        let name = LockKind::Tags.container(self.project);
        while let Some(found) = self.context.docker.find_lock(&name)? {
            if self.may_finish(&found) {
                self.finish(LockKind::Tags, &found)?;
                continue;
            }
            // Fail now rather than after the build.
            if found.holder.life() == Life::Unknown && is_old(&found) {
                return Err(refusal(&found).into());
            }
            break;
        }
        Ok(())
    }

    fn may_finish(&self, found: &FoundLock) -> bool {
        match found.holder.life() {
            Life::Gone => true,
            Life::Unknown => self.break_lock,
            // An earlier step of this process failed to finish its moves.
            Life::Runs => found.holder.is_this_process(),
        }
    }

    fn finish(&self, kind: LockKind, found: &FoundLock) -> Result<()> {
        let docker = &self.context.docker;
        if kind == LockKind::Recovery {
            // A recovery lock has no journal. Remove by ID: another run may have taken the name since.
            return docker.remove_lock(&found.id).map(drop);
        }
        let recovery = self.take(LockKind::Recovery, &[])?;
        // Another run may have finished the moves while this one waited.
        let finished = match docker.find_lock(&found.name) {
            Ok(Some(still)) if still.id == found.id => moves::finish(found, self),
            other => other.map(drop),
        };
        let released = self.release(recovery);
        finished.and(released)
    }

    pub(super) fn note(&self, text: impl AsRef<str>) {
        self.context.terminal.warn(text);
    }
}

fn is_old(found: &FoundLock) -> bool {
    SystemTime::now().duration_since(found.holder.since()).is_ok_and(|age| age > OLD)
}

fn refusal(found: &FoundLock) -> Failure {
    let FoundLock { name, holder, .. } = found;
    Failure::machine(
        format!("the lock on the engine's tags (container {name}) is held by {holder}"),
        format!("wait for that run to finish; if it was killed: {PROGRAM} build-images --break-lock"),
    )
}
