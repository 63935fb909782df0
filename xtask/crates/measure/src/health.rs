//! Waiting for a service's first healthy answer.

use std::time::{Duration, SystemTime};

use model::manifest::Service;
use model::probe::{Body, HttpRequest, Method};
use stack::http::Client;

/// Timeouts of the first request and of later ones.
///
/// The engine's proxy accepts connections before the container has a network and then waits a whole second (TCP's first
/// retransmission), so an early request is soon given up and repeated.
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(5);

/// The path asked for a service's health: the manifest's, else `/health`.
pub(crate) fn path(service: &Service) -> &str {
    service.health.as_deref().unwrap_or("/health")
}

/// The time of the first 200 on a path at a loopback port; `None` if `is_over` comes first.
pub(crate) fn first(
    port: u16,
    path: &str,
    pause: Duration,
    is_over: impl Fn() -> bool,
) -> Option<SystemTime> {
    let request = get(path);
    let host = format!("127.0.0.1:{port}");
    let mut timeout = SHORT;
    while !is_over() {
        // A new connection each time, as a health check makes.
        match Client::new().send(&host, &request, timeout) {
            Ok(answer) if answer.status == 200 => return Some(SystemTime::now()),
            // It is listening and needs more time.
            Err(error) if !error.is_connection() => timeout = (timeout * 2).min(LONG),
            _ => timeout = SHORT,
        }
        std::thread::sleep(pause);
    }
    None
}

/// A GET request without headers.
pub(crate) fn get(path: &str) -> HttpRequest {
    let (method, path) = (Method::Get, path.to_owned());
    HttpRequest { method, path, headers: Default::default(), body: Body::Empty }
}
