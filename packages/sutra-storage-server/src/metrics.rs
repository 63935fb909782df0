//! The store's numbers for Prometheus.

use sutra_service::Samples;

use crate::store::Store;

/// Reads the numbers; leaves them out if the store cannot be read, which `/health` reports. Blocks.
pub(crate) fn read(store: &Store, samples: &mut Samples<'_>) {
    let Ok((stats, size)) = store.stats() else { return };
    samples.gauge("sutra_storage_concepts", "Concepts in the store.", stats.concepts);
    samples.gauge("sutra_storage_vectors", "Concepts with a vector.", stats.vectors);
    samples.gauge("sutra_storage_vector_bytes", "Memory of all vectors.", size.vector_bytes as u64);
    let about = "Memory limit for vectors, a share of MAX_MEMORY_BYTES.";
    samples.gauge("sutra_storage_vector_bytes_limit", about, size.vector_bytes_limit as u64);
}
