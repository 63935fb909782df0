//! The error that ends the program.

/// Why the program fails, with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code of the process.
    pub code: u8,
    /// The problem, where it is and how to fix it.
    pub message: String,
}

impl Failure {
    /// Wrong usage or configuration (exit code 2).
    pub(crate) fn usage(message: String) -> Self {
        Self { code: 2, message }
    }

    /// Unhealthy, or nginx cannot be started (exit code 1).
    pub(crate) fn unavailable(message: String) -> Self {
        Self { code: 1, message }
    }
}
