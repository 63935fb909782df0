//! The engine's socket: for stack tests that stop and start services, and for large responses, which the docker command would copy
//! through a pipe.

use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use host::failure::Failure;
use host::interrupt::Interrupt;

use crate::docker::Docker;

/// How often to check for interrupts while the engine is silent.
const INTERRUPT_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum size of a response's head.
const MOST_HEAD: u64 = 1 << 16;

/// A socket and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// The group ID.
    pub group: u32,
}

impl Socket {
    /// The body of `GET PATH` of the engine's API (Docker Engine API, `ImageGet` and others), as a stream.
    ///
    /// # Errors
    /// The engine does not answer with 200, or the user interrupts.
    pub(crate) fn get(&self, path: &str, interrupt: &Interrupt) -> io::Result<impl Read + Send + use<>> {
        let mut stream = UnixStream::connect(&self.path)?;
        // HTTP/1.0 has no chunks: the body ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
        stream.set_read_timeout(Some(INTERRUPT_INTERVAL))?;
        let mut body =
            BufReader::with_capacity(1 << 16, Interruptible { stream, interrupt: interrupt.clone() });
        let mut head = body.by_ref().take(MOST_HEAD);
        let mut status = Vec::new();
        head.read_until(b'\n', &mut status)?;
        let mut line = status.clone();
        while !matches!(line.as_slice(), b"\r\n" | b"\n" | b"") {
            line.clear();
            head.read_until(b'\n', &mut line)?;
        }
        let status = String::from_utf8_lossy(&status);
        match line.is_empty() || status.split(' ').nth(1) != Some("200") {
            true => Err(io::Error::other(format!("the engine answered {}", status.trim_end()))),
            false => Ok(body),
        }
    }
}

/// A stream whose reads stop on an interrupt.
struct Interruptible {
    stream: UnixStream,
    interrupt: Interrupt,
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.interrupt.is_set() {
                return Err(io::Error::other(Failure::interrupted()));
            }
            match self.stream.read(buffer) {
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                result => return result,
            }
        }
    }
}

impl Docker {
    /// The socket in `DOCKER_HOST` or the current context (`docker context inspect` covers both).
    ///
    /// # Errors
    /// When the engine is on another machine, or the socket does not exist.
    pub fn socket(&self) -> Result<Socket> {
        let host = self.cmd(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).read()?;
        let Some(path) = host.strip_prefix("unix://").map(PathBuf::from) else {
            bail!("the engine at {host} is not a socket on this machine");
        };
        let about = path
            .metadata()
            .with_context(|| format!("cannot access the engine's socket {}", path.display()))?;
        if !about.file_type().is_socket() {
            bail!("the engine's address {} is not a socket", path.display());
        }
        Ok(Socket { path, group: about.gid() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// The response's body, and the request.
    fn answered(answer: &'static [u8], interrupt: &Interrupt) -> (io::Result<Vec<u8>>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                connection.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            // The client may have closed the connection.
            connection.write_all(answer).ok();
            String::from_utf8(request).unwrap()
        });
        let body = Socket { path, group: 0 }.get("/images/get?names=x", interrupt).and_then(|mut body| {
            let mut bytes = Vec::new();
            body.read_to_end(&mut bytes).map(|_| bytes)
        });
        (body, engine.join().unwrap())
    }

    #[test]
    fn the_body_follows_the_head() {
        let answer =
            b"HTTP/1.0 200 OK\r\nContent-Type: application/x-tar\r\n\r\nHTTP/1.0 404 is\r\n\r\nthe body";
        let (body, request) = answered(answer, &Interrupt::default());
        assert_eq!(body.unwrap(), b"HTTP/1.0 404 is\r\n\r\nthe body");
        assert!(request.starts_with("GET /images/get?names=x HTTP/1.0\r\n"), "{request}");
    }

    #[test]
    fn other_answers_are_errors() {
        for answer in [
            &b""[..],
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nA: b",
            b"HTTP/1.0 500 Internal Server Error\r\n\r\n{\"message\": \"no space left on device\"}",
        ] {
            assert!(
                answered(answer, &Interrupt::default()).0.is_err(),
                "{}",
                String::from_utf8_lossy(answer)
            );
        }
    }

    #[test]
    fn an_interrupt_ends_a_silent_engine() {
        let interrupt = Interrupt::default();
        interrupt.set();
        let (silent, engine) = UnixStream::pair().unwrap();
        silent.set_read_timeout(Some(INTERRUPT_INTERVAL)).unwrap();
        let error = Interruptible { stream: silent, interrupt }.read(&mut [0]).unwrap_err();
        assert!(error.to_string().contains("interrupted"), "{error}");
        drop(engine);
    }
}
