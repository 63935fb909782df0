//! `healthcheck`: one plain HTTP GET, judged by its status.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long the whole exchange may take.
const LIMIT: Duration = Duration::from_secs(3);

/// The longest status line that is waited for, in bytes.
const STATUS_LINE_LIMIT: usize = 512;

/// Succeeds when `url` (`http://ADDRESS[:PORT]/PATH`) answers 200 in time; the error is one line.
pub(crate) fn check(url: &str) -> Result<(), String> {
    let deadline = Instant::now() + LIMIT;
    match exchange(url, deadline) {
        Ok(200) => Ok(()),
        Ok(status) => Err(format!("{url} answered {status}, not 200")),
        Err(reason) => Err(format!("{url}: {reason}")),
    }
}

fn exchange(url: &str, deadline: Instant) -> Result<u16, String> {
    let (authority, path) = split(url)?;
    let mut stream = TcpStream::connect_timeout(&address(authority)?, left(deadline)?)
        .map_err(|error| format!("cannot connect: {}", plain(&error)))?;
    stream.set_write_timeout(Some(left(deadline)?)).map_err(|error| error.to_string())?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: nginx-entry\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(|error| format!("cannot send: {}", plain(&error)))?;
    status(&read_status_line(&mut stream, deadline)?)
}

fn split(url: &str) -> Result<(&str, &str), String> {
    let rest = url.strip_prefix("http://").ok_or("only http:// is understood")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    if authority.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("not a URL of the form http://HOST[:PORT]/PATH".into());
    }
    Ok((authority, path))
}

/// Addresses only: resolving names would link the C library's whole resolver into a program that asks its own host.
fn address(authority: &str) -> Result<SocketAddr, String> {
    let numeric = authority.replacen("localhost", "127.0.0.1", 1);
    numeric.parse().or_else(|_| format!("{numeric}:80").parse()).map_err(|_| {
        format!("{authority:?} is no IP address with a port; names other than localhost are not looked up")
    })
}

fn read_status_line(stream: &mut TcpStream, deadline: Instant) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let mut buffer = [0; STATUS_LINE_LIMIT];
    while !line.contains(&b'\n') && line.len() < STATUS_LINE_LIMIT {
        stream.set_read_timeout(Some(left(deadline)?)).map_err(|error| error.to_string())?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => line.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("no answer: {}", plain(&error))),
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
        .ok_or_else(|| "the answer is not HTTP".to_owned())
}

fn left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left) }
}

fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => late(),
        _ => error.to_string(),
    }
}

fn late() -> String {
    format!("no answer within {} s", LIMIT.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_split() {
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
    fn an_address_needs_no_port_and_no_resolver() {
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
    fn only_http_has_a_status() {
        assert_eq!(status(b"HTTP/1.1 200 OK\r\n"), Ok(200));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Ok(503));
        for line in [&b""[..], b"HTTP/1.1", b"HTTP/1.1 \r\n", b"SSH-2.0 200", b"HTTP/1.1 20\xff OK"] {
            assert!(status(line).is_err(), "{line:?}");
        }
    }
}
