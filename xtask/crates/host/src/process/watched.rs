//! A child that is watched: its output is always read, and an interrupt ends it.

use std::io::{self, PipeReader, Read as _};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt::Interrupt;
use crate::process::groups;

/// How long a child may take to end after a signal, or to finish before it gets one.
const GRACE: Duration = Duration::from_secs(10);

/// An interrupt is noticed within this time.
const TICK: Duration = Duration::from_millis(20);

/// What an interrupt means for a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnInterrupt {
    /// It ends at once: it may take long.
    End,
    /// It ends at once, but may take its time to clean up.
    EndGently,
    /// It may finish within the grace period: it is short. One that started after the interrupt cleans up: it is not ended.
    Finish,
    /// It is not ended.
    Ignore,
}

/// A child that leads a process group: Ctrl-C and hang-up of the terminal, which go to this process's group, reach it only
/// through this one, once. Killed with its group if dropped before it has ended.
#[derive(Debug)]
pub(super) struct Watched {
    handle: duct::Handle,
    group: Pid,
    interrupt: Interrupt,
    on_interrupt: OnInterrupt,
    /// When it got SIGTERM, or will get it.
    end_at: Option<Instant>,
    /// The last signal it got.
    sent: Option<Signal>,
}

impl Watched {
    /// Starts a command that is its group's leader.
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

    /// The next output of any of these pipes: the pipe's index, and how many bytes of the buffer it filled. A pipe becomes
    /// `None` at its end. `None` when all have ended.
    pub(super) fn next(
        &mut self,
        pipes: &mut [Option<PipeReader>],
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, usize)>> {
        loop {
            self.pass_on_interrupt();
            let open: Vec<(usize, &PipeReader)> =
                pipes.iter().enumerate().filter_map(|(index, pipe)| Some((index, pipe.as_ref()?))).collect();
            // Processes that left the group may hold a pipe for ever.
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

    /// Waits for its end.
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
        // It may have just ended.
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
