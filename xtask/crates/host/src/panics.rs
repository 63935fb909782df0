//! Panics in the program `images`, where they end the process instead of unwinding.

use std::panic;

use crate::process::groups;

/// The exit code of Rust programs whose main thread panicked.
const EXIT_CODE: i32 = 101;

/// Makes a panic that cannot unwind terminate all children, then exit; the next run removes what this one has left.
pub fn exit_with_children() {
    if cfg!(panic = "abort") {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            print(info);
            groups::exit_with_children(EXIT_CODE);
        }));
    }
}
