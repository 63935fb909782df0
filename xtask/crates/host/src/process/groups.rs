//! Tracks the process groups of running children, so that a second signal can end them all.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Time between SIGTERM and SIGKILL after a second signal.
const LAST_GRACE: Duration = Duration::from_secs(1);

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child that leads its own group, and tracks the group until [`forget`].
pub(super) fn start(expression: &duct::Expression) -> io::Result<(duct::Handle, Pid)> {
    // Hold the lock: no child may start while the process exits.
    let mut groups = groups();
    let handle = expression.start()?;
    let id = handle.pids().first().and_then(|id| i32::try_from(*id).ok()).unwrap_or_default();
    let group = Pid::from_raw(id).ok_or_else(|| io::Error::other("the child has no process ID"))?;
    groups.insert(id);
    Ok((handle, group))
}

/// Stops tracking a group whose leader has ended.
pub(super) fn forget(group: Pid) {
    groups().remove(&group.as_raw_nonzero().get());
}

/// Terminates all children, then exits.
pub(crate) fn exit_with_children(code: i32) -> ! {
    let groups = groups();
    let all: Vec<Pid> = groups.iter().filter_map(|id| Pid::from_raw(*id)).collect();
    // Some may have just ended.
    let send = |signal: Signal| {
        for group in &all {
            kill_process_group(*group, signal).ok();
        }
    };
    send(Signal::TERM);
    let end = Instant::now() + LAST_GRACE;
    while Instant::now() < end && all.iter().any(|group| test_kill_process_group(*group).is_ok()) {
        std::thread::sleep(Duration::from_millis(10));
    }
    send(Signal::KILL);
    std::process::exit(code)
}
