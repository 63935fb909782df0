//! Errors for unknown paths and wrong methods.

use axum::Router;
use axum::http::{Method, StatusCode, Uri};

use crate::error::ApiError;

/// Adds the 404 and 405 errors to a service's own routes.
pub(crate) fn with_fallbacks(router: Router) -> Router {
    router.fallback(unknown_path).method_not_allowed_fallback(wrong_method)
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("unknown path: {}", uri.path()))
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not allowed for {}; the Allow header lists the allowed methods", uri.path()),
    )
}
