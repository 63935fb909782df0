//! Docker's command line.

use crate::signs::client_error;
use crate::tag_watch::TagWatch;
use host::process::{Cmd, Runner};

/// The `docker` on PATH.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Starts its processes.
    pub runner: Runner,
    /// Reports tags that are being moved; for commands that read tags.
    pub watch: Option<TagWatch>,
}

impl Docker {
    /// Docker through this runner.
    pub fn new(runner: Runner) -> Docker {
        Docker { runner, watch: None }
    }

    /// `docker ARGS…`, always in English, since its output is parsed.
    pub fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        self.runner.cmd("docker").env("LC_ALL", "C.UTF-8").classify(client_error).args(args)
    }
}
