//! The part of this program that runs in the container: it relays bytes between its standard streams and a service.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};

use host::terminal::Terminal;

const CHUNK: usize = 64 * 1024;

/// Connects to `HOST:PORT`, sends standard input, and prints the answers until the service closes the connection.
///
/// # Errors
/// When the service cannot be reached, or the connection breaks.
pub fn forward(address: &str, terminal: &Terminal) -> Result<()> {
    let mut answers = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    let mut requests = answers.try_clone()?;
    // The thread ends with the process: reading standard input cannot be interrupted.
    thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        let mut input = std::io::stdin().lock();
        while let Ok(count @ 1..) = input.read(&mut chunk) {
            if requests.write_all(&chunk[..count]).is_err() {
                return;
            }
        }
        requests.shutdown(Shutdown::Write).ok();
    });
    let mut chunk = vec![0; CHUNK];
    loop {
        match answers.read(&mut chunk).context("the connection broke")? {
            0 => return Ok(()),
            count => terminal.print(&chunk[..count]),
        }
    }
}
