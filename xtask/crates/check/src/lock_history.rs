//! The size lock at every commit that changed it.

use std::collections::BTreeMap;

use crate::lock::{Lock, LockKey};
use engine::context::Context;
use host::git::LogEntry;
use model::baseline::Weights;

/// The lock at a commit.
#[derive(Debug)]
pub struct LockState {
    /// The commit.
    pub entry: LogEntry,
    /// Its rows; empty if the commit deletes the lock. An error says why they cannot be read.
    pub rows: Result<BTreeMap<LockKey, Weights>, String>,
}

/// The states of the lock in the first-parent history, newest first, at most `limit`; `None` outside git.
pub fn states(limit: Option<usize>, context: &Context) -> Option<Vec<LockState>> {
    let file = context.repository.sizes_lock_name();
    let git = context.git();
    let state = |entry: LogEntry| {
        let path = entry.files.first().map_or(file, String::as_str);
        let rows = match git.show(&entry.commit, path) {
            Some(text) => {
                Lock::parse(&text, file).map(|lock| lock.rows).map_err(|failure| failure.to_string())
            }
            None if git.lacks(&entry.commit, path) => Ok(BTreeMap::new()),
            None => Err(format!("git cannot read {path}")),
        };
        LockState { entry, rows }
    };
    Some(git.log(file, limit)?.into_iter().map(state).collect())
}
