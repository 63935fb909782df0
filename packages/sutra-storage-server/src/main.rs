//! The storage service: keeps concepts durably, finds them by text and by vector.
//!
//! `records` (redb) is the truth. The full-text `index` (tantivy, on disk) and the `vectors` (in memory, contiguous)
//! are derived from it. One `writer` thread changes all three in that order; readers work on snapshots and never wait
//! for it. Every change has a sequence number that records and index both keep, so `store` knows at the start what
//! the index missed.

mod api;
mod concept;
mod fusion;
mod index;
mod limits;
mod records;
mod search;
mod store;
mod vectors;
mod writer;

use std::process::ExitCode;
use std::sync::Arc;

use sutra_service::{Application, Health, HealthFields, Settings, StartError, run};

use crate::limits::Limits;
use crate::store::{Place, Store};

/// The service's name in the manifest.
const NAME: &str = "storage";

/// The port it listens on unless `PORT` says otherwise.
const PORT: u16 = 50051;

fn main() -> ExitCode {
    run(NAME, PORT, start)
}

fn start(settings: &Settings) -> Result<Application, StartError> {
    let limits = Limits::from_environment(&settings.edition)?;
    let store = Arc::new(Store::open(&Place::from_environment()?)?);
    let condition = {
        let store = store.clone();
        let fields = HealthFields::from_iter([("limits".to_owned(), limits.fields())]);
        move || match store.failure() {
            None => Health::Ready(fields.clone()),
            Some(reason) => Health::Failed(reason.to_owned()),
        }
    };
    Ok(Application::new(api::routes(store, limits)).health(condition))
}
