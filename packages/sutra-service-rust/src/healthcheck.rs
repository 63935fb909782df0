//! The health check for images without curl.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

/// Timeout for the whole check.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Sends `GET /health` to the service that listens on `host` (the value of `HOST`) and `port` of this machine.
///
/// # Errors
/// Anything but status 200 within 3 seconds. The error is one line.
pub fn healthcheck(host: &str, port: u16) -> Result<(), String> {
    let address = local_address(host, port)
        .map_err(|error| format!("health check failed: cannot resolve {host:?}: {error}; correct HOST"))?;
    let status = status_line(address, Instant::now() + TIMEOUT).map_err(|error| {
        format!("health check of {address} failed: {error} (timeout {} s)", TIMEOUT.as_secs())
    })?;
    let mut words = status.split(' ');
    match (words.next(), words.next()) {
        (Some(version), Some("200")) if version.starts_with("HTTP/1.") => Ok(()),
        _ => Err(format!("GET /health on {address} returned {:?}, expected status 200", status.trim_end())),
    }
}

/// The address of a listener on `host`, an address or a name, seen from the same machine: loopback for a wildcard address.
fn local_address(host: &str, port: u16) -> std::io::Result<SocketAddr> {
    let resolved = (host, port).to_socket_addrs()?.next();
    let mut address = resolved.ok_or(std::io::ErrorKind::NotFound)?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(address)
}

/// Sends the request and reads the status line of the response.
fn status_line(address: SocketAddr, deadline: Instant) -> std::io::Result<String> {
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

    fn check_response(response: &'static str) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("accept");
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("read") == 1 {
                request.push(byte[0]);
            }
            stream.write_all(response.as_bytes()).expect("respond");
        });
        let result = healthcheck("0.0.0.0", port);
        server.join().expect("server");
        result
    }

    #[test]
    fn only_a_200_is_healthy() {
        assert_eq!(check_response("HTTP/1.1 200 OK\r\n\r\n"), Ok(()));
        for response in ["HTTP/1.1 503 Service Unavailable\r\n\r\n", "hello 200\r\n", ""] {
            let reason = check_response(response).expect_err(response);
            assert!(reason.contains("expected status 200") && !reason.contains('\n'), "{reason}");
        }
    }

    #[test]
    fn a_wildcard_address_is_checked_on_loopback() {
        for (host, expected) in [("0.0.0.0", "127.0.0.1:80"), ("::", "[::1]:80"), ("10.0.0.7", "10.0.0.7:80")]
        {
            assert_eq!(local_address(host, 80).expect(host).to_string(), expected);
        }
    }

    #[test]
    fn a_name_is_resolved() {
        assert!(local_address("localhost", 80).expect("an address").ip().is_loopback());
        let reason = healthcheck("no-such-host.invalid", 80).expect_err("no address");
        assert!(reason.contains("no-such-host.invalid") && reason.contains("correct HOST"), "{reason}");
    }
}
