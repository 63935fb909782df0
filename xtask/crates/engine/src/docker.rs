//! Floor 2: the engine. Everything that knows docker's command line, its output or its errors.

use host::process::{Cmd, Runner};

/// The docker command line, as found on PATH.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Starts its processes.
    pub runner: Runner,
}

impl Docker {
    /// Through this runner.
    pub fn new(runner: Runner) -> Docker {
        Docker { runner }
    }

    /// `docker ARGS…`, in plain English whatever the locale, since its output is read.
    pub fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        self.runner.cmd("docker").env("LC_ALL", "C.UTF-8").args(args)
    }
}
