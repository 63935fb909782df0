//! Headers of every response.

use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

const ALWAYS: [(HeaderName, &str); 7] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Adds them to the response for a normalized path, and replaces those from the api service.
pub(crate) fn add(response: &mut Response, path: &str) {
    let status = response.status();
    let is_own_405 =
        status == StatusCode::METHOD_NOT_ALLOWED && response.extensions().get::<Forwarded>().is_none();
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control(status, path)));
    if is_own_405 {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
}

/// Marks a response of the api service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forwarded;

/// Asset names contain a hash, so they can be cached forever. Everything else must be revalidated or not stored.
fn cache_control(status: StatusCode, path: &str) -> &'static str {
    let is_a_file = matches!(status.as_u16(), 200 | 206 | 304);
    match path {
        _ if is_a_file && path.starts_with("/assets/") => "public, max-age=31536000, immutable",
        "/index.html" | "/favicon.svg" | "/licenses.txt" if is_a_file => "no-cache",
        _ => "no-store",
    }
}
