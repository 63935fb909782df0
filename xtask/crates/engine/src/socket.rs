//! The engine's socket, for stack tests that stop and start services.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::docker::Docker;

/// A socket and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its path.
    pub path: PathBuf,
    /// The group ID.
    pub group: u32,
}

impl Docker {
    /// The socket in `DOCKER_HOST` or the current context (`docker context inspect` covers both).
    ///
    /// # Errors
    /// When the engine is on another machine, or the socket does not exist.
    pub fn socket(&self) -> Result<Socket> {
        let host = self.cmd(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).read()?;
        let Some(path) = host.strip_prefix("unix://").map(PathBuf::from) else {
            bail!("the engine at {host} is not a socket on this machine");
        };
        let about = path
            .metadata()
            .with_context(|| format!("cannot access the engine's socket {}", path.display()))?;
        if !about.file_type().is_socket() {
            bail!("the engine's address {} is not a socket", path.display());
        }
        Ok(Socket { path, group: about.gid() })
    }
}
