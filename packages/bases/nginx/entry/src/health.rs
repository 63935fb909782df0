//! `healthcheck`: one HTTP GET, which must return status 200.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
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

/// The address to connect to: loopback for a wildcard address. Names are resolved, because nginx may listen on one.
fn address(authority: &str) -> Result<SocketAddr, String> {
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let full = if has_port { authority.to_owned() } else { format!("{authority}:80") };
    let resolved = full.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    let mut address =
        resolved.ok_or_else(|| format!("cannot resolve {authority:?}; correct HOST and PORT"))?;
    if address.ip().is_unspecified() {
        let ip =
            if address.is_ipv4() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(ip);
    }
    Ok(address)
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
    fn the_port_defaults_to_80_and_wildcards_mean_loopback() {
        for (authority, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("10.0.0.1", "10.0.0.1:80"),
            ("[::1]", "[::1]:80"),
            ("[::1]:8080", "[::1]:8080"),
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:8080", "[::1]:8080"),
        ] {
            assert_eq!(address(authority).map(|address| address.to_string()).as_deref(), Ok(expected));
        }
        assert_eq!(address("localhost:81").map(|address| address.port()), Ok(81));
        for authority in ["no-such-host.invalid:8080", "127.0.0.1:port", "127.0.0.1:99999", ":8080"] {
            let reason = address(authority).expect_err(authority);
            assert!(reason.contains("HOST and PORT"), "{reason}");
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
