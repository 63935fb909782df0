//! Commands that failed or could not be started.

use std::fmt;

use crate::failure::class::FailureClass;
use crate::process::quote::tail;

/// How many lines of a command's output an error shows.
const TAIL: usize = 12;

/// A command that could not be started, or that failed.
#[derive(Debug, Clone)]
pub struct ProcessError {
    command: String,
    outcome: String,
    /// The last lines of its output.
    pub tail: String,
    /// What kind of failure it is, as far as its output tells.
    pub class: FailureClass,
}

impl ProcessError {
    /// A command that could not be started.
    pub(super) fn start(command: String, why: impl fmt::Display, class: FailureClass) -> ProcessError {
        ProcessError { command, outcome: format!("cannot start: {why}"), tail: String::new(), class }
    }

    /// A command that ended with another exit code than 0; none where a signal ended it.
    pub(super) fn exit(
        command: String,
        code: Option<i32>,
        output: &str,
        class: FailureClass,
    ) -> ProcessError {
        let outcome = match code {
            Some(code) => format!("failed with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        };
        ProcessError { command, outcome, tail: tail(output, TAIL), class }
    }
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
