//! Blocks each start of the OCI runtime until the file systems of the traced containers are watched.
//!
//! A permission event of fanotify(7) stops the runtime before its first instruction. It costs about a millisecond, also for
//! other containers on the machine. When this program ends, for whatever reason, the kernel releases all starts.

use std::collections::BTreeSet;
use std::io::{PipeWriter, pipe};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::fanotify::{Fanotify, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response};

use crate::trace::opens::{self, Opens, unsupported};

/// Blocks starts until it is closed or dropped.
pub(super) struct Gate {
    /// Closing it ends the thread.
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Gate {
    /// Blocks every start of these programs until the mounted file systems of these containers are watched.
    pub(super) fn open(programs: &BTreeSet<PathBuf>, containers: &[Arc<Opens>]) -> Result<Gate> {
        let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_NONBLOCK | InitFlags::FAN_CLOEXEC;
        let group = opens::group(flags)?;
        for program in programs {
            let marked =
                group.mark(MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_OPEN_EXEC_PERM, AT_FDCWD, Some(program));
            marked.map_err(|error| unsupported("cannot hold the engine's runtime", error))?;
        }
        let (reader, end) = pipe().context("cannot make a pipe")?;
        let containers = containers.to_vec();
        let thread = thread::spawn(move || {
            // The fanotify group closes with the thread, which releases all starts.
            let mut result = Ok(());
            loop {
                let mut fds = [
                    PollFd::new(group.as_fd(), PollFlags::POLLIN),
                    PollFd::new(reader.as_fd(), PollFlags::POLLIN),
                ];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(error) => return Err(error).context("cannot wait for the engine's runtime"),
                }
                if fds[1].any().unwrap_or(true) {
                    return result;
                }
                let answered = answer(&group, &containers);
                result = result.and(answered);
            }
        });
        Ok(Gate { end: Some(end), thread: Some(thread) })
    }

    /// Stops blocking starts.
    ///
    /// # Errors
    /// When a file system could not be watched.
    pub(super) fn close(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        drop(self.end.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(anyhow!("internal error: the thread that holds the runtime has panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // A failure of the trace is already reported.
        self.end().ok();
    }
}

/// Watches the mounted file systems, then releases all waiting starts.
fn answer(group: &Fanotify, containers: &[Arc<Opens>]) -> Result<()> {
    let events = match group.read_events() {
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
        events => events.context("cannot hold the engine's runtime")?,
    };
    let mut result = containers.iter().try_for_each(|container| container.watch());
    for fd in events.iter().filter_map(|event| event.fd()) {
        match group.write_response(FanotifyResponse::new(fd, Response::FAN_ALLOW)) {
            // The process was killed while it waited.
            Ok(()) | Err(Errno::ENOENT) => {}
            // Other starts must not wait for this one.
            Err(error) => result = result.and(Err(error).context("cannot let the engine's runtime start")),
        }
    }
    result
}
