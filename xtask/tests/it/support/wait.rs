//! Waiting with a deadline: no test hangs.

use std::process::{Child, ExitStatus};
use std::time::Duration;

/// How often to look, and how many times: a minute in all.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1200;

/// Waits until something holds; fails the test after a minute.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    until_some(what, || holds().then_some(()));
}

/// Waits for a value; fails the test after a minute.
pub fn until_some<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(value) = value() {
            return value;
        }
        std::thread::sleep(PAUSE);
    }
    panic!("never: {what}");
}

/// Waits for the end of a process; fails the test after a minute.
pub fn end(child: &mut Child) -> ExitStatus {
    until_some("the process ends", || child.try_wait().unwrap())
}
