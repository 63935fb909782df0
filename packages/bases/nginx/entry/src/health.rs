//! `healthcheck`: one HTTP GET, which must return status 200.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Timeout for the whole check.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum length of the status line, in bytes.
const MAX_STATUS_LINE: usize = 512;

/// Checks that `url` (`http://ADDRESS[:PORT]/PATH`) returns 200 within the timeout. The error is one line.
pub(crate) fn check(url: &str) -> Result<(), String> {
    let deadline = Instant::now() + TIMEOUT;
    match get(url, deadline) {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("{url} returned {status}, expected 200")),
        Err(reason) => Err(format!("{url}: {reason}")),
    }
}

fn get(url: &str, deadline: Instant) -> Result<u16, String> {
    let (authority, path) = split(url)?;
    let mut stream = TcpStream::connect_timeout(&address(authority)?, left(deadline)?)
        .map_err(|error| format!("cannot connect: {}", describe(&error)))?;
    stream.set_write_timeout(Some(left(deadline)?)).map_err(|error| error.to_string())?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: nginx-entry\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|error| format!("cannot send: {}", describe(&error)))?;
    status(&read_status_line(&mut stream, deadline)?)
}

fn split(url: &str) -> Result<(&str, &str), String> {
    let rest = url.strip_prefix("http://").ok_or("unsupported URL scheme; use http://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    if authority.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("invalid URL; expected http://HOST[:PORT]/PATH".into());
    }
    Ok((authority, path))
}

/// IP addresses and localhost only: DNS would link the C library's resolver into a program that only calls its own host.
fn address(authority: &str) -> Result<SocketAddr, String> {
    let numeric = authority.replacen("localhost", "127.0.0.1", 1);
    numeric
        .parse()
        .or_else(|_| format!("{numeric}:80").parse())
        .map_err(|_| format!("invalid address: {authority:?}; use an IP address or localhost"))
}

fn read_status_line(stream: &mut TcpStream, deadline: Instant) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let mut buffer = [0; MAX_STATUS_LINE];
    while !line.contains(&b'\n') && line.len() < MAX_STATUS_LINE {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(|error| error.to_string())?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("cannot read the response: {}", describe(&error))),
        }
    }
    Ok(line)
}

fn status(line: &[u8]) -> Result<u16, String> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split(' ');
    words
        .next()
        .filter(|version| version.starts_with("HTTP/1."))
        .and_then(|_| words.next())
        .and_then(|code| code.trim_end().get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| "not an HTTP response".to_owned())
}

fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(timed_out()) } else { Ok(left) }
}

fn describe(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => timed_out(),
        _ => error.to_string(),
    }
}

fn timed_out() -> String {
    format!("no response within {} s", TIMEOUT.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/health", Ok(("127.0.0.1:8080", "/health"))),
            ("http://[::1]/", Ok(("[::1]", "/"))),
            ("http://host", Ok(("host", "/"))),
        ] {
            assert_eq!(split(url), expected);
        }
        for url in ["https://host/", "host/", "http:///x", "http://a/b c", "http://a/\r\nX: y"] {
            assert!(split(url).is_err(), "{url}");
        }
    }

    #[test]
    fn the_port_defaults_to_80_and_names_are_rejected() {
        for (authority, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:81", "127.0.0.1:81"),
            ("10.0.0.1", "10.0.0.1:80"),
            ("[::1]", "[::1]:80"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(address(authority).map(|address| address.to_string()).as_deref(), Ok(expected));
        }
        for authority in ["nginx:8080", "127.0.0.1:port", "127.0.0.1:99999"] {
            assert!(address(authority).is_err(), "{authority}");
        }
    }

    #[test]
    fn the_status_is_read_from_http_responses_only() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Ok(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Ok(503));
        for line in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 \r\n", b"SSH-2.0 200", b"HTTP/1.1 20\xff OK"] {
            assert!(status(line).is_err(), "{line:?}");
        }
    }
}
