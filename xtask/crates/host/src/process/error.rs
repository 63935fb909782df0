//! Commands that did not do what they were told.

use std::fmt;

/// A command that could not be started, or that failed.
#[derive(Debug, Clone)]
pub struct ProcessError {
    pub(super) command: String,
    pub(super) outcome: String,
    /// The last lines of what it said.
    pub tail: String,
    /// Whether the program itself is missing.
    pub not_found: bool,
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.command, self.outcome)?;
        for line in self.tail.lines() {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ProcessError {}
