//! A running child: reads its output and passes interrupts on to it.

use std::io::{self, PipeReader, Read as _};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt::Interrupt;
use crate::process::groups;

/// Time between SIGTERM and SIGKILL, and time for short commands to finish before SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// Polling interval for interrupts.
const TICK: Duration = Duration::from_millis(20);

/// What an interrupt does to a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    /// SIGTERM at once, then SIGKILL. For long commands.
    End,
    /// SIGTERM at once, and no SIGKILL, since it may have to clean up.
    EndGently,
    /// SIGTERM after the grace period. For short commands. Those started after the interrupt are cleanup: they run to the end.
    Finish,
    /// No signal.
    Ignore,
}

/// A child that leads its own process group. The terminal sends Ctrl-C and hang-ups to this process's group only, and
/// `Watched` passes them on once. If dropped before the child has ended, its group is killed.
#[derive(Debug)]
pub(super) struct Watched {
    handle: duct::Handle,
    group: Pid,
    interrupt: Interrupt,
    on_interrupt: OnInterrupt,
    /// When SIGTERM is due.
    end_at: Option<Instant>,
    /// The last signal sent.
    sent: Option<Signal>,
}

impl Watched {
    /// Starts a command that leads its own group.
    pub(super) fn start(
        expression: &duct::Expression,
        interrupt: &Interrupt,
        on_interrupt: OnInterrupt,
    ) -> io::Result<Watched> {
        let on_interrupt = match on_interrupt {
            OnInterrupt::Finish if interrupt.is_set() => OnInterrupt::Ignore,
            other => other,
        };
        let (handle, group) = groups::start(expression)?;
        let interrupt = interrupt.clone();
        Ok(Watched { handle, group, interrupt, on_interrupt, end_at: None, sent: None })
    }

    /// Waits for output on any pipe. Returns the pipe's index and the number of bytes read, or `None` when all pipes are closed.
    /// Sets closed pipes to `None`.
    pub(super) fn next(
        &mut self,
        pipes: &mut [Option<PipeReader>],
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, usize)>> {
        loop {
            self.pass_on_interrupt();
            let open: Vec<(usize, &PipeReader)> =
                pipes.iter().enumerate().filter_map(|(index, pipe)| Some((index, pipe.as_ref()?))).collect();
            // A process that left the group may keep a pipe open forever.
            if open.is_empty() || (self.sent == Some(Signal::KILL) && self.handle.try_wait()?.is_some()) {
                return Ok(None);
            }
            let mut polled: Vec<PollFd<'_>> =
                open.iter().map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)).collect();
            match poll(&mut polled, Timespec::try_from(TICK).ok().as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = polled.iter().position(|polled| !polled.revents().is_empty());
            let Some(index) = ready.map(|ready| open[ready].0) else { continue };
            let Some(pipe) = &mut pipes[index] else { continue };
            match pipe.read(buffer) {
                Ok(0) => pipes[index] = None,
                Ok(count) => return Ok(Some((index, count))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for it to exit.
    pub(super) fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(output) = self.handle.wait_timeout(TICK)? {
                return Ok(output.status);
            }
            self.pass_on_interrupt();
        }
    }

    fn pass_on_interrupt(&mut self) {
        if self.end_at.is_none() && self.interrupt.is_set() {
            match self.on_interrupt {
                OnInterrupt::End | OnInterrupt::EndGently => self.end_at = Some(Instant::now()),
                OnInterrupt::Finish => self.end_at = Some(Instant::now() + GRACE),
                OnInterrupt::Ignore => {}
            }
        }
        self.send_when_due();
    }

    fn send_when_due(&mut self) {
        let Some(end_at) = self.end_at else { return };
        let now = Instant::now();
        let due = match self.sent {
            None if now >= end_at => Signal::TERM,
            Some(Signal::TERM) if now >= end_at + GRACE && self.on_interrupt != OnInterrupt::EndGently => {
                Signal::KILL
            }
            _ => return,
        };
        // Fails if it has just ended.
        kill_process_group(self.group, due).ok();
        self.sent = Some(due);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !matches!(self.handle.try_wait(), Ok(Some(_))) {
            kill_process_group(self.group, Signal::KILL).ok();
            self.handle.wait().ok();
        }
        groups::forget(self.group);
    }
}
