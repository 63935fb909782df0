//! The moment of a service's first healthy answer.

use host::interrupt::Interrupt;
use host::wait;
use std::time::{Duration, SystemTime};

use model::probe::{Body, HttpRequest, Method};
use stack::http::Client;

/// Patience with the first answer, and the most there is.
///
/// The engine's forwarding takes connections before the container has a network, and then waits a whole second (TCP's first
/// repetition) for somebody in it: a question of that moment is given up soon, and asked again.
const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(5);

/// Asks a port of loopback's for `/health` again and again, until it says 200 or `over` is set.
pub fn first(port: u16, pause: Duration, over: &Interrupt) -> Option<SystemTime> {
    let (method, path) = (Method::Get, "/health".to_owned());
    let ask = HttpRequest { method, path, headers: Default::default(), body: Body::Empty };
    let host = format!("127.0.0.1:{port}");
    let mut patience = SHORT;
    while !over.is_set() {
        // A connection of its own each time, as a health check has.
        match Client::new().send(&host, &ask, patience) {
            Ok(answer) if answer.status == 200 => return Some(SystemTime::now()),
            // Somebody is there; a service that thinks for long is given the time.
            Err(error) if !error.is_connection => patience = (patience * 2).min(LONG),
            _ => patience = SHORT,
        }
        wait::pause(pause, over).ok()?;
    }
    None
}
