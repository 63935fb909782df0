//! Refusals that the state of the store causes, and not the request alone.

use axum::http::StatusCode;
use sutra_service::ApiError;

/// 409 if vectors of one model were to be compared with those of another. `given` is `None` if the client names no model.
pub(crate) fn of_model(given: Option<&str>, stored: Option<&str>) -> Option<ApiError> {
    let (given, stored) = (given?, stored?);
    let message = || {
        format!(
            "model is {given:?}, but the vectors of this store are of {stored:?} and cannot be compared with others; \
             use that model, or replace all vectors (POST /v1/reembed)"
        )
    };
    (given != stored).then(|| ApiError::new(StatusCode::CONFLICT, "other_model", message()))
}

/// 507 because vectors would need more memory than there is. Both numbers are in bytes.
pub(crate) fn memory_is_full(needed: usize, limit: usize) -> ApiError {
    full(format!(
        "the memory for vectors is full: this change needs {needed} bytes in all, and the limit is {limit}; nothing was \
         changed; delete concepts, or give the service more memory (MAX_MEMORY_BYTES, or the container's limit)"
    ))
}

/// 507 because the disk has too little space. Both numbers are in bytes.
pub(crate) fn disk_is_full(needed: u64, available: u64) -> ApiError {
    full(format!(
        "the disk is full: this change may need {needed} bytes, and {available} are left; nothing was changed; free disk \
         space or enlarge the volume"
    ))
}

fn full(message: String) -> ApiError {
    ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "full", message)
}
