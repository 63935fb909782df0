//! A relay from one loopback port to another that counts the bytes it passes on.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const CHUNK: usize = 64 * 1024;

/// Works until it is dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    /// Bytes from the target to its clients.
    received: AtomicU64,
    over: AtomicBool,
}

impl Relay {
    /// Starts a relay to a loopback port.
    pub fn start(port: u16) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: (Ipv4Addr::LOCALHOST, port).into(),
            received: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if serving.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&serving);
                // The client notices when a connection breaks.
                thread::spawn(move || shared.serve(&client).ok());
            }
        });
        Ok(Relay { address, shared })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes that the target has sent so far.
    pub fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        TcpStream::connect(self.address).ok();
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.target)?;
        thread::scope(|scope| {
            scope.spawn(|| {
                io::copy(&mut { client }, &mut &server).ok();
                server.shutdown(Shutdown::Write).ok();
            });
            let passed = self.pass(&server, client);
            client.shutdown(Shutdown::Both).ok();
            server.shutdown(Shutdown::Both).ok();
            passed
        })
    }

    fn pass(&self, mut server: &TcpStream, mut client: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = server.read(&mut buffer)?;
            if count == 0 || self.over.load(Ordering::SeqCst) {
                return Ok(());
            }
            client.write_all(&buffer[..count])?;
            self.received.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_complete_and_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::start(listener.local_addr().unwrap().port()).unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(&vec![7; 100_000]).unwrap();
            asked
        });
        let mut client = TcpStream::connect(relay.address()).unwrap();
        client.write_all(b"give").unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).unwrap();
        assert_eq!((&serving.join().unwrap(), got.len(), relay.received()), (b"give", 100_000, 100_000));
        assert!(got.iter().all(|byte| *byte == 7));
        let address = relay.address();
        drop(relay);
        // It stops listening once the thread has noticed.
        while TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
    }
}
