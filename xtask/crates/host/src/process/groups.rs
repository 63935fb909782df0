//! The process groups of running children, so that a second signal leaves none behind.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// How long children may take to end after a second signal before they are killed.
const LAST_GRACE: Duration = Duration::from_secs(1);

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child that leads a group, and keeps the group in the list until [`forget`].
pub(super) fn start(expression: &duct::Expression) -> io::Result<(duct::Handle, Pid)> {
    // Held meanwhile: no child may start while the process ends.
    let mut groups = groups();
    let handle = expression.start()?;
    let id = handle.pids().first().and_then(|id| i32::try_from(*id).ok()).unwrap_or_default();
    let group = Pid::from_raw(id).ok_or_else(|| io::Error::other("the child has no process ID"))?;
    groups.insert(id);
    Ok((handle, group))
}

/// The group's leader has ended.
pub(super) fn forget(group: Pid) {
    groups().remove(&group.as_raw_nonzero().get());
}

/// Ends all children, then this process.
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
