//! Ctrl-C, SIGTERM and a closed terminal, as a flag that long work checks: nothing is killed half-way through a tag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::failure::Failure;
use crate::process::groups;

/// The exit code after a second signal: 128 + SIGINT, as in shells.
const EXIT_CODE: i32 = 130;

/// Signals within this time count as one: timeout(1) signals both the process and its group.
const TOGETHER: Duration = Duration::from_millis(250);

/// Whether the user asked to stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Handles SIGINT, SIGTERM and SIGHUP (unless it is ignored, as under `nohup`). A second SIGINT or SIGTERM
    /// terminates all children and the process. A second SIGHUP does not, because both the shell and the kernel send one when
    /// a terminal closes.
    ///
    /// # Errors
    /// When the operating system refuses the handler.
    pub fn listen() -> std::io::Result<Interrupt> {
        // Makes a write beyond the file size limit fail instead of killing the process.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let interrupt = Interrupt::default();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hang_up = (!is_ignored(&status, SIGHUP)).then_some(SIGHUP);
        let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hang_up))?;
        let listener = interrupt.clone();
        let listen = move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                let since = first.get_or_insert_with(Instant::now).elapsed();
                listener.set();
                if signal != SIGHUP && since > TOGETHER {
                    groups::exit_with_children(EXIT_CODE);
                }
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(listen)?;
        Ok(interrupt)
    }

    /// Whether the user asked to stop.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends a sequence of steps between two of them.
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn check(&self) -> Result<(), Failure> {
        if self.is_set() { Err(Failure::interrupted()) } else { Ok(()) }
    }

    /// Asks to stop, as a signal does.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Whether a process ignores a signal, from its `/proc/PID/status` (proc(5): `SigIgn` is a mask, signal 1 its lowest bit).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ignored_by_nohup_stays_ignored() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(is_ignored(&status("0000000000001001"), SIGHUP));
        assert!(!is_ignored(&status("0000000000001002"), SIGHUP));
        assert!(!is_ignored("", SIGHUP));
    }
}
