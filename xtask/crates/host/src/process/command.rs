//! Commands before they run.

use std::path::{Path, PathBuf};

use crate::failure::class::FailureClass;
use crate::interrupt::Interrupt;
use crate::process::quote::quote;
use crate::secrets::Secrets;
use crate::terminal::Terminal;

/// Starts commands.
#[derive(Debug, Clone, Default)]
pub struct Runner {
    /// Logs each command with its duration.
    pub log: Option<Terminal>,
    /// Terminates long commands at once, and short ones that do not finish in time.
    pub interrupt: Interrupt,
    /// Masked in command lines and errors. Clones of the runner share them.
    pub secrets: Secrets,
}

/// A command that is about to run.
#[derive(Debug, Clone)]
pub struct Cmd {
    pub(super) runner: Runner,
    pub(super) program: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) dir: Option<PathBuf>,
    pub(super) stdin: Stdin,
    pub(super) apart: bool,
    pub(super) long: bool,
    pub(super) classify: Option<fn(&str) -> FailureClass>,
}

/// The standard input of a command.
#[derive(Debug, Clone, Default)]
pub(super) enum Stdin {
    #[default]
    Empty,
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Runner {
    /// A command that inherits this process's environment and folder.
    pub fn cmd(&self, program: impl Into<String>) -> Cmd {
        Cmd {
            runner: self.clone(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            dir: None,
            stdin: Stdin::Empty,
            apart: false,
            long: false,
            classify: None,
        }
    }
}

impl Cmd {
    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Cmd {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Cmd {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for this command alone. Values are never printed.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Cmd {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets the folder that it runs in.
    #[must_use]
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Cmd {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// Sets its standard input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Cmd {
        self.stdin = Stdin::Bytes(bytes.into());
        self
    }

    /// Sets a file as its standard input.
    #[must_use]
    pub fn stdin_file(mut self, path: impl Into<PathBuf>) -> Cmd {
        self.stdin = Stdin::File(path.into());
        self
    }

    /// Ignores interrupts. For cleanup, which must complete.
    #[must_use]
    pub fn apart(mut self) -> Cmd {
        self.apart = true;
        self
    }

    /// Marks a command that may take long, such as a download: an interrupt terminates it at once.
    #[must_use]
    pub fn long(mut self) -> Cmd {
        self.long = true;
        self
    }

    /// Derives the class of a failure from the command's output.
    #[must_use]
    pub fn classify(mut self, classify: fn(&str) -> FailureClass) -> Cmd {
        self.classify = Some(classify);
        self
    }

    /// The command line, quoted for a shell, with secrets masked.
    pub fn quoted(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.args);
        self.runner.secrets.mask(&words.map(|word| quote(word)).collect::<Vec<_>>().join(" "))
    }
}
