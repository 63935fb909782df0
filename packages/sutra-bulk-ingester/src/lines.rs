//! Counts lines for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::batch::Batch;
use crate::teacher::TeachResult;

/// The lines of all jobs processed since the service started.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    learned: AtomicU64,
    bad: AtomicU64,
}

impl Lines {
    /// Adds a batch.
    pub(crate) fn add(&self, batch: &Batch, taught: &TeachResult) {
        self.learned.fetch_add(taught.count, Ordering::Relaxed);
        self.bad.fetch_add(batch.bad.count + taught.bad.count, Ordering::Relaxed);
    }

    /// The counts by result.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        [("learned", &self.learned), ("bad", &self.bad)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}
