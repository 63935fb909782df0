//! Detects ports that speak TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Content types of TLS records (RFC 8446, section 5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Whether a port answers a TLS ClientHello with a TLS record.
pub(crate) fn is_spoken_at(host: &str) -> bool {
    let answer = || -> std::io::Result<[u8; 2]> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.write_all(&client_hello())?;
        let mut start = [0; 2];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    matches!(answer(), Ok([ALERT | HANDSHAKE, 3]))
}

/// A TLS 1.2 ClientHello (RFC 5246, section 7.4.1.2) with two cipher suites and no extensions. A server that requires more sends
/// an alert.
fn client_hello() -> Vec<u8> {
    let random = [0; 32];
    let hello = [&[3, 3], random.as_slice(), &[0, 0, 4, 0xc0, 0x2f, 0xc0, 0x2b, 1, 0]].concat();
    let length = u8::try_from(hello.len()).unwrap_or_default();
    [&[HANDSHAKE, 3, 1, 0, length + 4, 1, 0, 0, length], hello.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn asked(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 52];
            stream.read_exact(&mut hello).unwrap();
            assert_eq!((hello[0], hello.len() - 5), (HANDSHAKE, usize::from(hello[4])));
            stream.write_all(answer).unwrap();
        });
        let spoken = is_spoken_at(&host);
        serving.join().unwrap();
        spoken
    }

    #[test]
    fn tls_is_recognized_by_its_records() {
        assert!(asked(&[ALERT, 3, 3, 0, 2, 2, 40]) && asked(&[HANDSHAKE, 3, 3, 0, 70, 2]));
        assert!(!asked(b"HTTP/1.1 400 Bad Request\r\n\r\n") && !asked(b"") && !asked(&[ALERT, 9]));
    }
}
