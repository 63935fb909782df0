//! The health check that an image without curl runs.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long the whole exchange may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks `/health` of the service on this host that listens on `host` (as in `HOST`) and `port`.
///
/// # Errors
/// One line: what was not as it should be. Anything but a 200 within 3 seconds is an error.
pub fn healthcheck(host: &str, port: u16) -> Result<(), String> {
    let address = reachable(host, port);
    let status = exchange(address, Instant::now() + LIMIT)
        .map_err(|error| format!("no healthy answer from {address} within {} s: {error}", LIMIT.as_secs()))?;
    let mut words = status.split(' ');
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        _ => Err(format!("{address} answered {:?} to GET /health, not 200", status.trim_end())),
    }
}

/// Where a listener on `host` is reached from the same host: a wildcard is reached by loopback.
fn reachable(host: &str, port: u16) -> SocketAddr {
    let ip = match host.parse() {
        Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => Ipv6Addr::LOCALHOST.into(),
        Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) | Err(_) => Ipv4Addr::LOCALHOST.into(),
        Ok(ip) => ip,
    };
    SocketAddr::new(ip, port)
}

/// The first bytes of the answer, as far as the status line goes.
fn exchange(address: SocketAddr, deadline: Instant) -> std::io::Result<String> {
    let left = || {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok::<_, std::io::Error>(left) }
    };
    let mut stream = TcpStream::connect_timeout(&address, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 256];
    while !answer.contains(&b'\n') && answer.len() < 1024 {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(&mut buffer)? {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn check_against(answer: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("read") == 1 {
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).expect("answer");
        });
        let outcome = healthcheck("0.0.0.0", port);
        server.join().expect("server");
        outcome
    }

    #[test]
    fn only_a_200_is_healthy() {
        assert_eq!(check_against("HTTP/1.1 200 OK\r\n\r\n"), Ok(()));
        for answer in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "hello 200\r\n", ""] {
            let reason = check_against(answer).expect_err(answer);
            assert!(reason.contains("not 200") && !reason.contains('\n'), "{reason}");
        }
    }

    #[test]
    fn a_wildcard_is_reached_by_loopback() {
        for (host, expected) in [
            ("0.0.0.0", "127.0.0.1:80"),
            ("::", "[::1]:80"),
            ("10.0.0.7", "10.0.0.7:80"),
            ("localhost", "127.0.0.1:80"),
        ] {
            assert_eq!(reachable(host, 80).to_string(), expected);
        }
    }
}
