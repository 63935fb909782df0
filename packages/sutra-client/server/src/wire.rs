//! Which headers of a request and a response are forwarded.

use std::net::IpAddr;

use axum::http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, HeaderName, SERVER, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue};
use sutra_service::REQUEST_ID;

/// Hop-by-hop headers (RFC 9110, section 7.6.1).
const OF_A_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Identifies the page's requests in the api service's metrics.
const VIA: HeaderName = HeaderName::from_static("x-sutra-via");

/// The request headers to send to the api service.
pub(crate) fn of_request(received: &HeaderMap, host: &HeaderValue, client: IpAddr) -> HeaderMap {
    let mut headers = without_connection(received);
    // hyper sets `Content-Length`, so that there is only one, and has already handled `Expect`.
    for name in [CONTENT_LENGTH, EXPECT, HOST, REQUEST_ID, FORWARDED_FOR] {
        headers.remove(name);
    }
    headers.insert(HOST, host.clone());
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(VIA, HeaderValue::from_static("client"));
    let id = sutra_service::current_id().and_then(|id| HeaderValue::from_str(&id).ok());
    let client = HeaderValue::from_str(&client.to_string()).ok();
    for (name, value) in [(REQUEST_ID, id), (FORWARDED_FOR, client)] {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    headers
}

/// The response headers to send to the client. Those of [`crate::headers`] are replaced later.
pub(crate) fn of_answer(received: &HeaderMap) -> HeaderMap {
    let mut headers = without_connection(received);
    // hyper sets `Date`.
    for name in [DATE, SERVER] {
        headers.remove(name);
    }
    headers
}

fn without_connection(received: &HeaderMap) -> HeaderMap {
    let listed: Vec<String> = received
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    let mut headers = HeaderMap::with_capacity(received.len() + 6);
    for (name, value) in received {
        // Another server may treat `_` as `-`, and a client could bypass the checks of a header.
        let is_ambiguous = !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        // Kept even if `Connection` lists it: without the length, the client cannot tell where the response ends.
        let is_listed = name != CONTENT_LENGTH && listed.iter().any(|listed| listed == name.as_str());
        if !is_ambiguous && !is_listed && !OF_A_CONNECTION.contains(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let lines = lines
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_request_has_no_header_of_its_connection() {
        let received = headers(&[
            ("connection", "keep-alive, X-Secret"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("expect", "100-continue"),
            ("content-length", "3"),
            ("x_request_id", "forged"),
            ("x-forwarded-for", "1.2.3.4"),
            ("x-forwarded-proto", "https"),
            ("x-sutra-via", "direct"),
            ("host", "page.example"),
            ("cookie", "a=b"),
            ("cookie", "c=d"),
        ]);
        let host = HeaderValue::from_static("api:8000");
        let client = "10.0.0.7".parse().expect("an address");
        let expected = headers(&[
            ("cookie", "a=b"),
            ("cookie", "c=d"),
            ("host", "api:8000"),
            ("x-forwarded-for", "10.0.0.7"),
            ("x-forwarded-proto", "http"),
            ("x-sutra-via", "client"),
        ]);
        assert_eq!(of_request(&received, &host, client), expected);
    }

    #[test]
    fn an_answer_keeps_its_length_and_its_cookies() {
        let received = headers(&[
            ("connection", "close, content-length"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("server", "uvicorn"),
            ("allow", "POST"),
        ]);
        let expected = headers(&[
            ("content-length", "3"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
            ("allow", "POST"),
        ]);
        assert_eq!(of_answer(&received), expected);
    }
}
