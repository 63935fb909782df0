//! Panics in the program `images`, which exits on a panic instead of unwinding.

use std::panic;

use crate::process::groups;

/// The exit code of Rust programs whose main thread panicked.
const EXIT_CODE: i32 = 101;

/// If panics cannot unwind, makes a panic terminate all children, then exit; the next run cleans up.
pub fn exit_with_children() {
    if cfg!(panic = "abort") {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            print(info);
            groups::exit_with_children(EXIT_CODE);
        }));
    }
}
