//! Tests of one file may use the engine at the same time; those of two files take turns, since one may remove what the other
//! needs.

use std::sync::{Condvar, Mutex, PoisonError};

/// The file whose tests have their turn, and how many of them run.
static TURN: Mutex<(String, usize)> = Mutex::new((String::new(), 0));
static ENDED: Condvar = Condvar::new();

/// A test's turn; it ends with the value.
#[must_use]
pub struct Turn(());

/// Waits until no test of another file uses the engine. `module`: the caller's `module_path!()`.
pub fn take(module: &str) -> Turn {
    let file = module.split("::").nth(1).unwrap_or(module).to_owned();
    let mut turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    while turn.1 > 0 && turn.0 != file {
        turn = ENDED.wait(turn).unwrap_or_else(PoisonError::into_inner);
    }
    *turn = (file, turn.1 + 1);
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURN.lock().unwrap_or_else(PoisonError::into_inner).1 -= 1;
        ENDED.notify_all();
    }
}
