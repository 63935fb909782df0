//! The service as a whole: its folder, which may have to be waited for, its worker, and how both are.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::json;
use sutra_service::{ApiError, Health, HealthFields, StartError};

use crate::hybrid::Hybrid;
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::presence::Presence;
use crate::settings::Configuration;
use crate::spool::Spool;
use crate::worker::Worker;

/// The way to the jobs: open once the data folder could be used.
pub(crate) struct Door {
    folder: PathBuf,
    limits: Limits,
    jobs: OnceLock<Arc<Jobs>>,
    /// Why it could not be opened the last time.
    reason: Mutex<String>,
}

impl Door {
    fn new(folder: PathBuf, limits: Limits) -> Self {
        Self { folder, limits, jobs: OnceLock::new(), reason: Mutex::default() }
    }

    /// Opens the data folder, unless that is done. Blocks; only one thread does it at a time. The error says why it
    /// cannot be used and what to do.
    pub(crate) fn open(&self) -> Result<Arc<Jobs>, String> {
        if let Some(jobs) = self.jobs.get() {
            return Ok(jobs.clone());
        }
        let opened = Spool::open(&self.folder).and_then(|spool| Jobs::open(spool, self.limits.clone()));
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(jobs) => Ok(self.jobs.get_or_init(|| Arc::new(jobs)).clone()),
            Err(error) => {
                if *reason != error {
                    log::error!("not ready: {error}");
                    reason.clone_from(&error);
                }
                Err(error)
            }
        }
    }

    /// The jobs, or why they cannot be reached.
    fn jobs(&self) -> Result<&Arc<Jobs>, String> {
        let reason = || self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.jobs.get().ok_or_else(reason)
    }
}

/// The running service.
pub(crate) struct Service {
    /// What was set.
    pub configuration: Configuration,
    door: Arc<Door>,
    presence: Arc<Presence>,
    worker: Worker,
}

impl Service {
    /// Opens the data folder and starts to work. A folder that cannot be used is tried again until it can: it may be
    /// mounted late, or still be in use by the container before.
    pub(crate) fn start(configuration: Configuration) -> Result<Self, StartError> {
        let Configuration { folder, hybrid, hybrid_timeout, backoff, limits, .. } = &configuration;
        let door = Arc::new(Door::new(folder.clone(), limits.clone()));
        // The reason is in the log and in `/health`; the worker tries again.
        let _ = door.open();
        let presence = Arc::new(Presence::default());
        let hybrid = Hybrid::new(hybrid.clone(), *hybrid_timeout, presence.clone());
        let worker = Worker::start(door.clone(), hybrid, *backoff, limits.clone())
            .map_err(|error| StartError::Environment(format!("cannot start the worker thread: {error}")))?;
        Ok(Self { configuration, door, presence, worker })
    }

    /// What `/health` says. Hybrid is a field in it and never changes it.
    pub(crate) fn condition(&self) -> Health {
        if self.worker.has_failed() {
            return Health::Failed(
                "the worker ended by a fault; the log holds the cause; restart the service".into(),
            );
        }
        match self.door.jobs().map(|jobs| jobs.trouble()) {
            Err(reason) | Ok(Some(reason)) => Health::Failed(reason),
            Ok(None) => Health::Ready(HealthFields::from_iter([
                ("dependencies".to_owned(), json!({"hybrid": self.presence.state()})),
                ("limits".to_owned(), self.configuration.limits.fields()),
            ])),
        }
    }

    /// The jobs; an error as long as the data folder cannot be used.
    pub(crate) fn jobs(&self) -> Result<&Arc<Jobs>, ApiError> {
        self.door.jobs().map_err(ApiError::unavailable)
    }
}
