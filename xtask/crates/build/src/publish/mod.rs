//! Publishing: all tags of a build move to the new images, or none does, even if the run is killed or others publish too.
//!
//! Images are built under tags of their run. When all are built, the run takes the engine's lock, whose labels record which tag
//! moves to which image; then the tags move, images that nothing names any more are removed, and the lock goes. Whoever finds
//! the lock of a killed run finishes its moves first.

mod lock;
mod moves;
mod predecessors;
pub(crate) mod run_tags;

use anyhow::Result;

use crate::plan::PlannedImage;
use crate::publish::moves::Moved;
use engine::context::Context;
use engine::lock::LockKind;

/// Publishes a project's images.
#[derive(Debug, Clone, Copy)]
pub struct Publisher<'a> {
    project: &'a str,
    break_lock: bool,
    context: &'a Context,
}

impl<'a> Publisher<'a> {
    /// For a project. `break_lock`: finish what a run left that may still be active on another machine.
    pub fn new(project: &'a str, break_lock: bool, context: &'a Context) -> Publisher<'a> {
        Publisher { project, break_lock, context }
    }

    /// Finishes what killed runs left: their moves, their temporary tags.
    ///
    /// # Errors
    /// When docker fails, or a run on another machine has held the lock for long.
    pub fn recover(&self) -> Result<()> {
        self.settle()?;
        let tags = run_tags::left(self.project, &self.context.docker)?;
        if tags.is_empty() {
            return Ok(());
        }
        // A run may have been killed since, and its moves need its images.
        self.settle()?;
        self.context.docker.remove_unused(&tags).map(drop)
    }

    /// Moves the tags of the built images onto them: all, or none.
    ///
    /// # Errors
    /// When docker fails, or the lock cannot be taken.
    pub fn publish(&self, images: &[&PlannedImage]) -> Result<()> {
        let docker = &self.context.docker;
        loop {
            let moves = moves::plan(images, docker)?;
            if moves.is_empty() {
                return Ok(());
            }
            let lock = self.take(LockKind::Tags, &moves)?;
            // The journal is only right if nobody has published since the plan was made.
            match moves::plan(images, docker) {
                Ok(now) if now == moves => {}
                changed => {
                    self.release(lock)?;
                    changed?;
                    continue;
                }
            }
            // If this fails, the lock stays, and the next run finishes the journal.
            let moved = moves::all_or_none(&moves, docker)?;
            let retired = match moved {
                Moved::All => predecessors::retire(&moves, self.project, docker),
                Moved::None(_) => Ok(()),
            };
            self.release(lock)?;
            if let Moved::None(error) = moved {
                let what = "the tags are unchanged: moving one failed, and the others were moved back";
                return Err(error.context(what));
            }
            return retired;
        }
    }

    /// Does something while no other run moves tags.
    ///
    /// # Errors
    /// Those of `work`, and when docker fails or the lock cannot be taken.
    pub fn exclusively<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lock = self.take(LockKind::Tags, &[])?;
        let result = work();
        let released = self.release(lock);
        // The first error is the useful one.
        result.and_then(|value| released.map(|()| value))
    }
}
