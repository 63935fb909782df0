//! The running service: data folder, worker and health.

use std::sync::Arc;

use serde_json::json;
use sutra_service::{ApiError, Calls, Health, HealthFields, Samples, StartError};

use crate::data_dir::DataDir;
use crate::hybrid::Hybrid;
use crate::job::STATE_NAMES;
use crate::jobs::Jobs;
use crate::presence::Presence;
use crate::settings::Configuration;
use crate::worker::Worker;

/// The running service.
pub(crate) struct Service {
    /// The settings.
    pub configuration: Configuration,
    /// The calls to hybrid.
    pub calls: Calls,
    data_dir: Arc<DataDir>,
    presence: Arc<Presence>,
    worker: Worker,
}

impl Service {
    /// Opens the data folder and starts the worker. If the folder cannot be used, the worker keeps trying: the volume may
    /// be mounted late or still be in use by the previous container.
    pub(crate) fn start(configuration: Configuration) -> Result<Self, StartError> {
        let Configuration { folder, hybrid, hybrid_timeout, backoff, limits, .. } = &configuration;
        let data_dir = Arc::new(DataDir::new(folder.clone(), limits.clone()));
        // An error is logged and reported by `/health`.
        let _ = data_dir.open();
        let presence = Arc::new(Presence::default());
        let calls = Calls::to("hybrid");
        let hybrid = Hybrid::new(hybrid.clone(), *hybrid_timeout, presence.clone(), calls.clone());
        let worker = Worker::start(data_dir.clone(), hybrid, *backoff, limits.clone())
            .map_err(|error| StartError::Environment(format!("cannot start the worker thread: {error}")))?;
        Ok(Self { configuration, calls, data_dir, presence, worker })
    }

    /// The health of the service. Hybrid is only a field in it.
    pub(crate) fn health(&self) -> Health {
        if self.worker.has_failed() {
            return Health::Failed(
                "the worker thread has failed; see the log and restart the service".into(),
            );
        }
        match self.data_dir.jobs().map(|jobs| jobs.write_error()) {
            Err(reason) | Ok(Some(reason)) => Health::Failed(reason),
            Ok(None) => Health::Ready(HealthFields::from_iter([
                ("dependencies".to_owned(), json!({"hybrid": self.presence.state()})),
                ("limits".to_owned(), self.configuration.limits.fields()),
            ])),
        }
    }

    /// The numbers of the jobs for Prometheus; none while the data folder cannot be used.
    pub(crate) fn metrics(&self, samples: &mut Samples<'_>) {
        let Ok(jobs) = self.data_dir.jobs() else { return };
        let states = jobs.states();
        let count = |name| (name, states.iter().filter(|state| **state == name).count() as u64);
        samples.gauges("sutra_ingester_jobs", "Jobs by state.", "state", &STATE_NAMES.map(count));
        let lines = jobs.lines.counts();
        let about = "Lines processed since the service started.";
        samples.counters("sutra_ingester_lines", about, "result", &lines);
    }

    /// The jobs; an error while the data folder cannot be used.
    pub(crate) fn jobs(&self) -> Result<&Arc<Jobs>, ApiError> {
        self.data_dir.jobs().map_err(ApiError::unavailable)
    }
}
