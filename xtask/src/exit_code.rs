//! Exit codes.

use host::failure::FailureClass;

/// The exit code of a failed run.
pub fn exit_code(class: FailureClass) -> u8 {
    match class {
        FailureClass::Failed | FailureClass::Unfinished => 1,
        // clap uses the same code.
        FailureClass::Usage | FailureClass::Manifest => 2,
        FailureClass::Disk
        | FailureClass::Network
        | FailureClass::Certificate
        | FailureClass::RateLimit
        | FailureClass::Memory
        | FailureClass::Engine
        | FailureClass::Machine => 3,
        // 128 + SIGINT, as shells do.
        FailureClass::Interrupted => 130,
    }
}
