//! The one failure type: what went wrong, its class, and what fixes it. The class alone decides the exit code.

pub(crate) mod class;

use std::fmt;
use std::io::{self, ErrorKind};

pub use self::class::FailureClass;
use crate::process::error::ProcessError;

/// An error with a class and a remedy.
///
/// Any other error counts as [`FailureClass::Failed`]. Adding context to a `Failure` keeps its class: see [`class_of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Determines the exit code.
    pub class: FailureClass,
    /// What went wrong and where.
    pub what: String,
    /// The command or change that fixes it; may be empty.
    pub remedy: String,
}

impl Failure {
    /// A failure of any class.
    pub fn new(class: FailureClass, what: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure { class, what: what.into(), remedy: remedy.into() }
    }

    /// A wrong command line.
    pub fn usage(what: impl Into<String>) -> Failure {
        Failure::new(FailureClass::Usage, what, "")
    }

    /// Something is missing on this machine, or broken.
    pub fn machine(what: impl Into<String>, remedy: impl Into<String>) -> Failure {
        Failure::new(FailureClass::Machine, what, remedy)
    }

    /// The user interrupted the run.
    pub fn interrupted() -> Failure {
        Failure::new(FailureClass::Interrupted, "interrupted", "")
    }

    /// Turns an unclassified error into a [`FailureClass::Machine`] failure.
    pub fn of_machine(error: anyhow::Error) -> anyhow::Error {
        match class_of(&error) {
            FailureClass::Failed => Failure::machine(format!("{error:#}"), "").into(),
            _ => error,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "\nhelp: {}", self.remedy) }
    }
}

impl std::error::Error for Failure {}

/// Whether a write failed because the disk is full, or a quota or the file size limit is exceeded.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// The class of the outermost [`Failure`] in the error's chain; without one, that of an I/O or process error.
pub fn class_of(error: &anyhow::Error) -> FailureClass {
    let of_cause = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>();
        // `source()` of an I/O error skips the error that it wraps.
        let wrapped = io.and_then(io::Error::get_ref);
        let failure = cause.downcast_ref::<Failure>().or_else(|| wrapped?.downcast_ref());
        if let Some(failure) = failure {
            return Some(failure.class);
        }
        let of_process = cause.downcast_ref::<ProcessError>().or_else(|| wrapped?.downcast_ref());
        let of_process = of_process.map(|error| error.class);
        if let Some(class) = of_process.filter(|class| *class != FailureClass::Failed) {
            return Some(class);
        }
        io.is_some_and(is_disk_full).then_some(FailureClass::Disk)
    };
    error.chain().find_map(of_cause).unwrap_or(FailureClass::Failed)
}

/// The error message for users. Environment errors without a `help:` line get the usual remedy of their class.
pub fn report(error: &anyhow::Error) -> String {
    let (text, class) = (format!("{error:#}"), class_of(error));
    let has_help = text.lines().any(|line| line.trim_start().starts_with("help: "));
    if class.is_environment() && !has_help { format!("{text}\nhelp: {}", class.remedy()) } else { text }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use anyhow::{Context as _, anyhow};

    use super::*;
    use crate::process::Runner;

    #[test]
    fn context_does_not_hide_the_class() {
        let class = |error: anyhow::Error| class_of(&error.context("while building"));
        assert_eq!(class(Failure::usage("x").into()), FailureClass::Usage);
        assert_eq!(class(Failure::interrupted().into()), FailureClass::Interrupted);
        assert_eq!(class(io::Error::other(Failure::interrupted()).into()), FailureClass::Interrupted);
        assert_eq!(class(anyhow!("x")), FailureClass::Failed);
        let full = Err::<(), _>(io::Error::from(ErrorKind::StorageFull)).context("cannot write x");
        assert_eq!(class(full.unwrap_err()), FailureClass::Disk);
    }

    #[test]
    fn the_class_of_a_command_survives_its_reader() {
        let cmd = Runner::default().cmd("sh").args(["-c", "exit 3"]).classify(|_| FailureClass::Engine);
        let error = cmd.reader().unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(class_of(&anyhow::Error::from(error).context("reading")), FailureClass::Engine);
    }

    #[test]
    fn the_remedy_is_a_help_line() {
        let failure = Failure::machine("no `strace` on PATH", "apt-get install strace");
        assert_eq!(failure.to_string(), "no `strace` on PATH\nhelp: apt-get install strace");
    }

    #[test]
    fn failures_of_the_machine_are_reported_with_help() {
        let full = |kind| Err::<(), _>(io::Error::from(kind)).context("cannot write x").unwrap_err();
        assert!(report(&full(ErrorKind::StorageFull)).contains("\nhelp: free disk space"));
        assert_eq!(report(&full(ErrorKind::NotADirectory)), "cannot write x: not a directory");
        let own = Failure::machine("no `strace` on PATH", "apt-get install strace");
        assert_eq!(report(&own.into()), "no `strace` on PATH\nhelp: apt-get install strace");
    }
}
