//! Floor 2: the engine. Everything that knows docker's command line, its output or its errors.

pub mod archive;
pub mod bake;
pub mod builder;
pub mod cache;
pub mod classify;
pub mod compose;
pub mod configuration;
pub mod containers;
pub mod engine;
pub mod events;
pub mod images;
pub mod layer_tar;
pub mod layers;
pub mod machine;
pub mod provision;
pub mod push;
pub mod save;
pub mod side_engine;
pub mod socket;

use crate::system::process::{Cmd, Runner};

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
