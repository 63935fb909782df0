//! Questions to the user.

use std::io::{IsTerminal as _, stdin};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Terminal;
use crate::interrupt::Interrupt;

/// Polling interval for interrupts.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

impl Terminal {
    /// Asks a yes-or-no question; anything but `y` or `yes` means no, an interrupt too. `None` if stdin is not a terminal.
    pub fn ask(&self, question: &str) -> Option<bool> {
        if !stdin().is_terminal() {
            return None;
        }
        self.err.write(format!("{question} [y/N] ").as_bytes()).ok();
        let mut answer = String::new();
        if is_readable(self.err.interrupt()) {
            stdin().read_line(&mut answer).ok();
        }
        Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Waits for a line on stdin; false after an interrupt.
fn is_readable(interrupt: &Interrupt) -> bool {
    let stdin = stdin();
    while !interrupt.is_set() {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        if poll(&mut fds, Some(&TICK)).is_ok_and(|ready| ready > 0) {
            return true;
        }
    }
    false
}
