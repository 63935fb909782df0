//! What every command works with.

use crate::docker::Docker;
use host::git::Git;
use host::paths::Repository;
use host::terminal::Terminal;

/// The checkout, the engine's command line and the narrator.
#[derive(Debug, Clone)]
pub struct Context {
    /// The checkout.
    pub repository: Repository,
    /// The engine's command line.
    pub docker: Docker,
    /// Where narration goes.
    pub terminal: Terminal,
    /// Whether the person allowed to install and start an engine.
    pub with_engine: bool,
}

impl Context {
    /// Git in this checkout.
    pub fn git(&self) -> Git {
        Git::new(&self.docker.runner, self.repository.root())
    }
}
