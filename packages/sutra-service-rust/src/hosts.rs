//! The Host names that the service answers to. Web pages reach a service on this machine or in its network by giving their
//! own name a new address (DNS rebinding); their requests still carry that name.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::error::ApiError;

/// The allowed names. Always allowed are addresses, `localhost`, and names without a dot, which public DNS does not have:
/// those that Compose gives to services.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedHosts(Arc<[String]>);

impl AllowedHosts {
    /// Reads the value of `ALLOWED_HOSTS`: names separated by commas. `.example.com` allows all names below `example.com`, `*`
    /// any name.
    pub(crate) fn new(list: &str) -> Self {
        let names = list.split(',').map(|name| name.trim().to_ascii_lowercase());
        Self(names.filter(|name| !name.is_empty()).collect())
    }

    fn allow(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_listed = |name: &String| match name.strip_prefix('.') {
            Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
            None => name == "*" || *name == host,
        };
        is_address || !host.contains('.') || host.ends_with(".localhost") || self.0.iter().any(is_listed)
    }
}

/// Answers 421 to a foreign Host, and 400 to one that is missing or invalid.
pub(crate) async fn check_host(
    State(allowed): State<AllowedHosts>,
    request: Request,
    next: Next,
) -> Response {
    match refusal(&allowed, &request) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    }
}

/// Whether a request names exactly one valid host, whichever it is (RFC 9112, section 3.2). In HTTP/1.0, it may lack one.
pub fn has_valid_host(request: &Request) -> bool {
    refusal(&AllowedHosts::new("*"), request).is_none()
}

fn refusal(allowed: &AllowedHosts, request: &Request) -> Option<ApiError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    // RFC 9112, section 3.2: version 1.1 needs exactly one.
    let Some(first) = first.filter(|_| second.is_none()) else {
        let may_lack = request.version() < Version::HTTP_11 && second.is_none();
        return (!may_lack).then(|| ApiError::invalid("a request needs exactly one Host header"));
    };
    let authority = first.to_str().ok().filter(|host| !host.contains('@'));
    let Some(authority) = authority.and_then(|host| host.parse::<Authority>().ok()).filter(has_valid_port)
    else {
        return Some(ApiError::invalid("the Host header is invalid; send a name or an address, and a port"));
    };
    let target = request.uri().host();
    let foreign = [Some(authority.host()), target].into_iter().flatten().find(|host| !allowed.allow(host))?;
    Some(ApiError::new(
        StatusCode::MISDIRECTED_REQUEST,
        "foreign_host",
        format!("host {foreign:?} is not allowed; if it is a name of this service, add it to ALLOWED_HOSTS"),
    ))
}

/// `Authority` accepts any text as a port. An empty one is the default port (RFC 3986, section 3.2.3).
fn has_valid_port(authority: &Authority) -> bool {
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    port.is_empty() || port == ":" || authority.port_u16().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn status(allowed: &str, request: Request) -> u16 {
        refusal(&AllowedHosts::new(allowed), &request).map_or(200, |error| error.status.as_u16())
    }

    fn with_host(allowed: &str, host: &str) -> u16 {
        status(allowed, Request::builder().header("host", host).body(Body::empty()).expect("a request"))
    }

    #[test]
    fn addresses_and_names_of_services_are_allowed() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8005",
            "10.1.2.3:80",
            "[::1]",
            "[fe80::1]:8005",
            "localhost",
            "LOCALHOST:80",
            "a.localhost",
            "bulk-ingester:8005",
            "bulk-ingester",
            "localhost.",
        ] {
            assert_eq!(with_host("", host), 200, "{host}");
        }
    }

    #[test]
    fn other_names_are_foreign_unless_they_are_listed() {
        for (allowed, host, expected) in [
            ("", "rebind.example", 421),
            ("", "rebind.example:8005", 421),
            ("", "127.0.0.1.rebind.example", 421),
            ("", "localhost.rebind.example", 421),
            ("", "xn--bcher-kva.example", 421),
            ("Xn--Bcher-kva.example", "xn--bcher-kva.EXAMPLE:80", 200),
            ("a.example, b.example", "b.example.", 200),
            ("a.example", "b.a.example", 421),
            (".a.example", "b.a.example", 200),
            (".a.example", "a.example", 421),
            (".a.example", "ba.example", 421),
            ("*", "rebind.example", 200),
        ] {
            assert_eq!(with_host(allowed, host), expected, "{allowed} {host}");
        }
    }

    #[test]
    fn missing_and_invalid_hosts_are_refused() {
        for host in ["", "a b", "user@localhost", "[::1", "localhost:x", "a/b", "\u{fc}.example"] {
            let request = Request::builder().header("host", host.as_bytes()).body(Body::empty());
            assert_eq!(status("", request.expect("a request")), 400, "{host:?}");
        }
        let build = |version| Request::builder().version(version).body(Body::empty()).expect("a request");
        assert_eq!(status("", build(Version::HTTP_11)), 400);
        assert_eq!(status("", build(Version::HTTP_10)), 200);
        let twice = Request::builder().header("host", "localhost").header("host", "localhost");
        assert_eq!(status("", twice.body(Body::empty()).expect("a request")), 400);
        // The target counts too, whatever the header says.
        let target = Request::builder().uri("http://rebind.example/").header("host", "localhost");
        assert_eq!(status("", target.body(Body::empty()).expect("a request")), 421);
    }
}
