//! Responses with a file.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use axum::response::Response;

use crate::conditions::{condition, range};
use crate::errors::error;
use crate::site::File;

/// The response to a request for a file.
pub(crate) fn answer(file: &File, request: &Parts) -> Response {
    if request.method != Method::GET && request.method != Method::HEAD {
        return error(StatusCode::METHOD_NOT_ALLOWED);
    }
    let compressed =
        file.gzip.as_ref().filter(|_| request.version >= Version::HTTP_11 && accepts_gzip(&request.headers));
    let variant = compressed.unwrap_or(&file.plain);
    let length = variant.bytes.len();
    let validators = file.is_validated.then_some((&variant.tag, &variant.modified));

    let mut response = match condition(&request.headers, validators) {
        Some(StatusCode::NOT_MODIFIED) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            // The file's length; otherwise axum sends 0 in response to HEAD.
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            response
        }
        Some(status) => return error(status),
        None => match range(&request.headers, validators, length) {
            Ok(None) => with_bytes(request, variant.bytes.clone(), file.media_type.clone()),
            Ok(Some(range)) => {
                let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                let mut response = with_bytes(request, variant.bytes.slice(range), file.media_type.clone());
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                put(response.headers_mut(), CONTENT_RANGE, &place);
                response
            }
            Err(()) => {
                let mut response = error(StatusCode::RANGE_NOT_SATISFIABLE);
                put(response.headers_mut(), CONTENT_RANGE, &format!("bytes */{length}"));
                return response;
            }
        },
    };
    let is_whole = response.status() == StatusCode::OK;
    let has_body = response.status() != StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.insert(LAST_MODIFIED, variant.modified.clone());
    if file.is_validated {
        headers.insert(ETAG, variant.tag.clone());
    }
    if file.gzip.is_some() {
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    if compressed.is_some() && has_body {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if is_whole {
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    }
    response
}

fn with_bytes(request: &Parts, bytes: axum::body::Bytes, media_type: HeaderValue) -> Response {
    let length = HeaderValue::from(bytes.len());
    let body = if request.method == Method::HEAD { Body::empty() } else { Body::from(bytes) };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Inserts a header whose value is printable ASCII.
fn put(headers: &mut HeaderMap, name: axum::http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether a client accepts gzip (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for list in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()) {
        for item in list.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let coding = parts.next().unwrap_or_default();
            let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let is_accepted =
                weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0));
            if coding.eq_ignore_ascii_case("gzip") {
                return is_accepted;
            }
            any |= coding == "*" && is_accepted;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_clients_that_accept_it() {
        for (list, expected) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("br, *", true),
            ("gzip;q=0", false),
            ("*, gzip;q=0.000", false),
            ("*;q=0", false),
            ("gzip;q=x", false),
            ("identity", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(list))]);
            assert_eq!(accepts_gzip(&headers), expected, "{list}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
