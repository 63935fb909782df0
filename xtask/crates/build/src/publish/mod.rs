//! Publishes a build: all tags move to the new images or none do, even if the run is killed or others publish concurrently.
//!
//! Images are built under temporary tags. After the build, the run acquires the engine's lock, whose labels record which tag
//! moves to which image. It moves the tags, removes images that lost their last name, and releases the lock. A run that finds
//! the lock of a killed run first completes or reverts that run's moves.

mod lock;
pub(crate) mod moves;
mod predecessors;
pub(crate) mod run_tags;

use anyhow::Result;

use crate::plan::PlannedImage;
use crate::publish::moves::Moved;
use engine::context::Context;
use engine::lock::LockKind;
use host::failure::class_of;

/// Publishes a project's images.
#[derive(Debug, Clone, Copy)]
pub struct Publisher<'a> {
    project: &'a str,
    break_lock: bool,
    context: &'a Context,
}

impl<'a> Publisher<'a> {
    /// `break_lock`: take over a lock even if its holder may still be running on another machine.
    pub fn new(project: &'a str, break_lock: bool, context: &'a Context) -> Publisher<'a> {
        Publisher { project, break_lock, context }
    }

    /// Completes or reverts the tag moves of killed runs and removes their temporary tags.
    ///
    /// # Errors
    /// When docker fails, or a run on another machine has held the lock for too long.
    pub fn recover(&self) -> Result<()> {
        self.settle()?;
        let tags = run_tags::left(self.project, &self.context.docker)?;
        if tags.is_empty() {
            return Ok(());
        }
        // Another run may have been killed in the meantime: finish its moves before removing its images.
        self.settle()?;
        self.context.docker.remove_unused(&tags).map(drop)
    }

    /// Moves all tags to the built images, or none.
    ///
    /// # Errors
    /// When docker fails or the lock cannot be acquired.
    pub fn publish(&self, images: &[&PlannedImage]) -> Result<()> {
        let docker = &self.context.docker;
        loop {
            let moves = moves::plan(images, docker)?;
            if moves.is_empty() {
                return Ok(());
            }
            let lock = self.take(LockKind::Tags, &moves)?;
            // The plan is stale if another run has published since.
            match moves::plan(images, docker) {
                Ok(now) if now == moves => {}
                changed => {
                    self.release(lock)?;
                    changed?;
                    continue;
                }
            }
            // On failure the lock stays, and the next run finishes the moves.
            let moved = moves::all_or_none(&moves, docker)?;
            let retired = match moved {
                Moved::All => predecessors::retire(&moves, self.project, docker),
                Moved::None(_) => Ok(()),
            };
            // On a full disk, the engine may only untag an image. The lock stays, and the next run removes the image.
            if retired.as_ref().is_err_and(|error| class_of(error).is_environment()) {
                return retired;
            }
            self.release(lock)?;
            if let Moved::None(error) = moved {
                let what = "the tags are unchanged: moving one failed, and the others were moved back";
                return Err(error.context(what));
            }
            return retired;
        }
    }

    /// Runs `work` while no other run can move tags.
    ///
    /// # Errors
    /// When `work` or docker fails, or the lock cannot be acquired.
    pub fn exclusively<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lock = self.take(LockKind::Tags, &[])?;
        let result = work();
        let released = self.release(lock);
        // The first error is the useful one.
        result.and_then(|value| released.map(|()| value))
    }
}
