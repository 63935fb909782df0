//! This server's own error responses, in the format that all services share.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use sutra_service::ApiError;

/// The error response for a status. Codes and messages match `nginx.conf.template`, except 412, for which nginx sends
/// an HTML page.
pub(crate) fn error(status: StatusCode) -> Response {
    let (code, message) = match status.as_u16() {
        404 => ("not_found", "Unknown path; open the page at / or use the API at /api/."),
        405 => ("method_not_allowed", "Only GET and HEAD are allowed here; send API requests to /api/."),
        408 => ("timeout", "Timed out waiting for the rest of the request; send it again."),
        412 => ("precondition_failed", "The file has changed; request it without conditions."),
        413 => ("payload_too_large", "The request is larger than the maximum of 16 MB; split it."),
        414 => ("uri_too_long", "The URL is too long; send the data in the body."),
        416 => ("range_not_satisfiable", "The requested range is not available; request the whole file."),
        500 => ("internal", "Internal error; check that API_URL starts with http:// and see the log."),
        502 => (
            "api_unreachable",
            "Cannot reach the api service; check that it is running and that API_URL is correct.",
        ),
        504 => ("api_timeout", "The api service did not respond in time; try again shortly."),
        _ => ("bad_request", "Malformed request; check its headers and URL."),
    };
    ApiError::new(status, code, message).into_response()
}
