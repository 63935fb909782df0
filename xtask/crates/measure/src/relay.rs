//! A relay on loopback before another port of loopback: it counts what passes, and lets no more pass than a rate allows.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rate::Rate;

/// What is passed on at once: small beside what a slow line takes in a second, so that it flows.
const CHUNK: usize = 16 * 1024;

/// Relays until it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    /// Bytes from the target to its clients.
    received: AtomicU64,
    line: Mutex<Line>,
    over: AtomicBool,
}

impl Relay {
    /// Before a port of loopback.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn start(port: u16) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: (Ipv4Addr::LOCALHOST, port).into(),
            received: AtomicU64::new(0),
            line: Mutex::new(Line::default()),
            over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if serving.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&serving);
                // A connection that breaks is its client's to notice.
                thread::spawn(move || shared.serve(&client).ok());
            }
        });
        Ok(Relay { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on no more than this passes to all clients together; `None` for as much as there is.
    pub fn limit(&self, rate: Option<Rate>) {
        if let Ok(mut line) = self.shared.line.lock() {
            *line = Line { rate, free: None };
        }
    }

    /// Bytes that the target sent through it so far.
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
            let bytes = u64::try_from(count).unwrap_or(u64::MAX);
            let wait = self.line.lock().map_or(Duration::ZERO, |mut line| line.take(bytes, Instant::now()));
            thread::sleep(wait);
            client.write_all(&buffer[..count])?;
            self.received.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}

/// A line that carries one chunk after the other, whoever sends it.
#[derive(Debug, Default)]
struct Line {
    rate: Option<Rate>,
    /// When it has carried all that it was given.
    free: Option<Instant>,
}

impl Line {
    /// Gives it bytes to carry, and says how long it is until they have arrived.
    fn take(&mut self, bytes: u64, now: Instant) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        // Time in which nothing was carried is lost, as on a real line.
        let begins = self.free.filter(|free| *free > now).unwrap_or(now);
        let arrives = begins + rate.time_of(bytes);
        self.free = Some(arrives);
        arrives - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_carries_one_after_the_other_and_saves_no_time_up() {
        let mut line = Line { rate: "8Mbit".parse().ok(), free: None };
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(line.take(1_000_000, start), second);
        assert_eq!(line.take(500_000, start), second * 3 / 2, "behind the first");
        assert_eq!(line.take(1_000_000, start + second), second * 3 / 2);
        assert_eq!(line.take(1_000_000, start + second * 60), second, "a minute's silence is no credit");
        assert_eq!(Line::default().take(u64::MAX, start), Duration::ZERO);
    }

    #[test]
    fn what_passes_is_whole_and_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay::start(listener.local_addr().unwrap().port()).unwrap();
        relay.limit("1Gbit".parse().ok());
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
        // Nobody listens any more once the thread has seen it.
        while TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
    }
}
