//! What every command needs.

use crate::docker::Docker;
use host::git::Git;
use host::paths::Repository;
use host::terminal::Terminal;

/// The checkout, docker and the terminal.
#[derive(Debug, Clone)]
pub struct Context {
    /// The checkout.
    pub repository: Repository,
    /// Docker's command line.
    pub docker: Docker,
    /// For messages.
    pub terminal: Terminal,
    /// Whether xtask may install and start an engine (`--with-engine`).
    pub with_engine: bool,
}

impl Context {
    /// Git in this checkout.
    pub fn git(&self) -> Git {
        Git::new(&self.docker.runner, self.repository.root())
    }
}
