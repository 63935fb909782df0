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

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers the third and later requests for `ready` with 200, all others with 503.
    fn serve(listener: &TcpListener, ready: &str) {
        let mut asked = 0;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let is_ready = line == format!("GET {ready} HTTP/1.1\r\n");
            asked += u32::from(is_ready);
            // Unread bytes would reset the connection.
            while reader.read_line(&mut line).unwrap() > "\r\n".len() {}
            let status = if is_ready && asked >= 3 { "200 OK" } else { "503 Service Unavailable" };
            // The client may have given up on an early request.
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        }
    }

    #[test]
    fn the_declared_path_is_asked_until_it_answers_200() {
        for (health, expected) in [(Some("/ready?deep=1"), "/ready?deep=1"), (None, "/health")] {
            let service = Service { health: health.map(str::to_owned), ..Service::default() };
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            // Serves until the tests end.
            std::thread::spawn(move || serve(&listener, expected));
            let asked = Cell::new(0);
            let is_over = || asked.replace(asked.get() + 1) == 10_000;
            let found = first(port, path(&service), Duration::from_millis(1), is_over);
            assert!(found.is_some(), "{expected}");
            assert!(asked.get() >= 3, "an answer other than 200 counted as healthy");
        }
    }

    #[test]
    fn waiting_ends_without_an_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let asked = Cell::new(0);
        let is_over = || asked.replace(asked.get() + 1) == 2;
        assert!(first(port, "/health", Duration::ZERO, is_over).is_none());
    }
}
