//! The bulk ingester: takes files of texts, keeps them durably, and teaches them through hybrid.
//!
//! An upload is written to the `spool` and becomes a job once it is on disk whole. `jobs` knows all jobs; one `worker`
//! thread takes them in order of arrival. It reads `records` (lines of JSON or rows of CSV) in a `batch`, hands it to
//! `hybrid` by way of the `teacher`, which retries and finds the lines that are to blame, and then saves how far it
//! came. After a restart it goes on from there: at most one batch is taught twice, and hybrid names concepts by a hash
//! of their text, so that changes nothing.

mod address;
mod api;
mod backoff;
mod batch;
mod csv;
mod hybrid;
mod input;
mod job;
mod jobs;
mod limits;
mod presence;
mod random;
mod records;
mod service;
mod settings;
mod spool;
mod teacher;
mod upload;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;

use sutra_service::{Application, Settings, StartError, run};

use crate::service::Service;
use crate::settings::Configuration;

/// The service's name in the manifest.
const NAME: &str = "bulk-ingester";

/// The port it listens on unless `PORT` says otherwise.
const PORT: u16 = 8005;

fn main() -> ExitCode {
    run(NAME, PORT, start)
}

fn start(settings: &Settings) -> Result<Application, StartError> {
    let service = Arc::new(Service::start(Configuration::from_environment(&settings.edition)?)?);
    let health = service.clone();
    Ok(Application::new(api::routes(service)).health(move || health.condition()))
}
