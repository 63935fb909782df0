//! The data folder, which may become usable only after startup.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::spool::Spool;

/// Access to the jobs once the data folder could be opened.
pub(crate) struct DataDir {
    path: PathBuf,
    limits: Limits,
    jobs: OnceLock<Arc<Jobs>>,
    /// Why the last attempt failed.
    error: Mutex<String>,
}

impl DataDir {
    /// A folder that has not been opened yet.
    pub(crate) fn new(path: PathBuf, limits: Limits) -> Self {
        Self { path, limits, jobs: OnceLock::new(), error: Mutex::default() }
    }

    /// Opens the folder unless it is open. Blocks; call it from one thread at a time. The error has the remedy.
    pub(crate) fn open(&self) -> Result<Arc<Jobs>, String> {
        if let Some(jobs) = self.jobs.get() {
            return Ok(jobs.clone());
        }
        let opened = Spool::open(&self.path).and_then(|spool| Jobs::open(spool, self.limits.clone()));
        let mut last_error = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(jobs) => Ok(self.jobs.get_or_init(|| Arc::new(jobs)).clone()),
            Err(error) => {
                if *last_error != error {
                    log::error!("not ready: {error}");
                    last_error.clone_from(&error);
                }
                Err(error)
            }
        }
    }

    /// The jobs, or why the last attempt to open the folder failed.
    pub(crate) fn jobs(&self) -> Result<&Arc<Jobs>, String> {
        let last_error = || self.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.jobs.get().ok_or_else(last_error)
    }
}
