//! The bulk ingester: accepts files of texts, stores them durably and teaches them to hybrid.
//!
//! An upload is written to the `spool` and becomes a job once it is completely on disk. `jobs` holds all jobs; a `worker`
//! thread processes them in order of arrival. It reads `records` (JSON lines or CSV rows) into a `batch` and sends it to
//! `hybrid` through the `teacher`, which retries and finds the lines that hybrid rejects. Then it saves the progress.
//! After a restart it continues from there. At most one batch is taught twice. Hybrid identifies concepts by a hash of their
//! text, so no text is stored twice, but its source, title and metadata are replaced, and a text deleted since is back.

mod api;
mod backoff;
mod batch;
mod csv;
mod data_dir;
mod excerpt;
mod hybrid;
mod id;
mod input;
mod job;
mod jobs;
mod limits;
mod lines;
mod metadata;
mod pace;
mod presence;
mod random;
mod records;
mod service;
mod settings;
mod spool;
mod teacher;
mod text;
mod upload;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;

use sutra_service::{Application, Settings, StartError, run};

use crate::service::Service;
use crate::settings::Configuration;

/// The service's name in `images.toml`.
const NAME: &str = "bulk-ingester";

/// Default port.
const PORT: u16 = 8005;

fn main() -> ExitCode {
    run(NAME, PORT, start)
}

fn start(settings: &Settings) -> Result<Application, StartError> {
    let service = Arc::new(Service::start(Configuration::from_environment(&settings.edition)?)?);
    let health = service.clone();
    let (calls, measured) = (service.calls.clone(), service.clone());
    Ok(Application::new(api::routes(service))
        .health(move || health.health())
        .metrics(move |samples| measured.metrics(samples))
        .calls(&calls))
}
