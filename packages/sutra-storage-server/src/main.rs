//! The storage service: a durable concept store with full-text and vector search.
//!
//! `records` (redb) is the source of truth. The full-text `index` (tantivy, on disk) and the `vectors` (in memory,
//! in 8 bits) are derived from it. One `writer` thread changes all three in that order; readers use snapshots and never
//! wait for it. Records and index both store the sequence number of each change, so `store` can tell at startup which
//! changes the index lacks.

mod api;
mod best;
mod codes;
mod concept;
mod derived;
mod edit;
mod fusion;
mod index;
mod limits;
mod listing;
mod memory;
mod metrics;
mod parallel;
mod quantized;
mod records;
mod refusal;
mod rows;
mod search;
mod sources;
mod store;
mod transfer;
mod vectors;
mod view;
mod writer;

use std::process::ExitCode;
use std::sync::Arc;

use sutra_service::{Application, Health, HealthFields, Settings, StartError, run};

use crate::limits::Limits;
use crate::memory::Memory;
use crate::store::{Store, StoreConfig};

/// The service's name in `images.toml`.
const NAME: &str = "storage";

/// Default port.
const PORT: u16 = 50051;

fn main() -> ExitCode {
    run(NAME, PORT, start)
}

fn start(settings: &Settings) -> Result<Application, StartError> {
    let limits = Limits::from_environment(&settings.edition)?;
    let memory = Memory::from_environment()?;
    let body_memory = memory.bodies;
    let store = Arc::new(Store::open(&StoreConfig::from_environment(memory.vectors)?)?);
    let health = {
        let store = store.clone();
        let fields = HealthFields::from_iter([("limits".to_owned(), limits.fields())]);
        move || match store.failure() {
            None => Health::Ready(fields.clone()),
            Some(reason) => Health::Failed(reason),
        }
    };
    let body_memory = body_memory.max(limits.body_bytes);
    let measured = store.clone();
    Ok(Application::new(api::routes(store, limits))
        .health(health)
        .metrics(move |samples| metrics::read(&measured, samples))
        .body_memory(body_memory))
}
