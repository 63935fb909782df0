//! Standard output and standard error. If they are closed or full, writes fail but never panic. After an interrupt, writes wait
//! at most a second for a reader.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::interrupt::Interrupt;

/// Bytes that never block once poll(2) reports a pipe as writable (pipe(7): one free page).
const CHUNK: usize = 4096;

/// Polling interval for interrupts.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How long to wait for a reader after an interrupt.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct StandardStream {
    fd: BorrowedFd<'static>,
    interrupt: Interrupt,
    /// The error after which writing stopped.
    ended: Mutex<Option<ErrorKind>>,
}

impl StandardStream {
    pub(super) fn new(fd: BorrowedFd<'static>, interrupt: Interrupt) -> StandardStream {
        StandardStream { fd, interrupt, ended: Mutex::new(None) }
    }

    pub(super) fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    /// Whether a path refers to the file behind this stream.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let (Ok(there), Ok(here)) = (fs::metadata(path), rustix::fs::fstat(self.fd)) else { return false };
        (there.dev(), there.ino()) == (here.st_dev, here.st_ino)
    }

    /// Writes all bytes, without interleaving those of other threads. Waits while the stream is full, unless the user
    /// interrupts. Once a write has failed for lack of a reader, all later ones fail at once.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = *ended {
            return Err(kind.into());
        }
        let written = self.write_chunks(bytes);
        if let Err(error) = &written
            && matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::TimedOut)
        {
            *ended = Some(error.kind());
        }
        written
    }

    /// Stops writing, since further data would follow a gap.
    pub(super) fn end(&self, kind: ErrorKind) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(kind);
    }

    /// The error after which writing stopped.
    pub(super) fn ended(&self) -> Option<ErrorKind> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_chunks(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.wait_for_room()?;
            match rustix::io::write(self.fd, &bytes[..bytes.len().min(CHUNK)]) {
                Ok(count) => bytes = &bytes[count..],
                // A program that shares the stream may have made it non-blocking.
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn wait_for_room(&self) -> io::Result<()> {
        let mut deadline = None;
        loop {
            match poll(&mut [PollFd::new(&self.fd, PollFlags::OUT)], Some(&TICK)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if self.interrupt.is_set()
                && Instant::now() > *deadline.get_or_insert_with(|| Instant::now() + PATIENCE)
            {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::{AsFd as _, OwnedFd};

    use super::*;

    fn stream(fd: impl Into<OwnedFd>) -> (StandardStream, Interrupt) {
        let fd: &'static OwnedFd = Box::leak(Box::new(fd.into()));
        let interrupt = Interrupt::default();
        (StandardStream::new(fd.as_fd(), interrupt.clone()), interrupt)
    }

    #[test]
    fn a_slow_reader_gets_everything() {
        let (mut reader, writer) = io::pipe().unwrap();
        let (stream, _) = stream(writer);
        let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let mut got = vec![0; bytes.len()];
        std::thread::scope(|scope| {
            scope.spawn(|| reader.read_exact(&mut got).unwrap());
            stream.write(&bytes).unwrap();
        });
        assert!(got == bytes);
    }

    #[test]
    fn a_closed_pipe_ends_the_stream() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (stream, _) = stream(writer);
        assert_eq!(stream.write(b"a").unwrap_err().kind(), ErrorKind::BrokenPipe);
        assert_eq!(stream.ended(), Some(ErrorKind::BrokenPipe));
        assert_eq!(stream.write(b"b").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_full_device_is_tried_again() {
        let (stream, _) = stream(File::options().write(true).open("/dev/full").unwrap());
        assert_eq!(stream.write(b"a").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(stream.ended(), None, "space may be freed");
    }

    #[test]
    fn an_interrupt_ends_the_wait_for_a_reader_that_never_reads() {
        let (_reader, writer) = io::pipe().unwrap();
        let (stream, interrupt) = stream(writer);
        interrupt.set();
        let more_than_a_pipe_holds = vec![b'x'; 2 << 20];
        assert_eq!(stream.write(&more_than_a_pipe_holds).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(stream.ended(), Some(ErrorKind::TimedOut));
    }
}
