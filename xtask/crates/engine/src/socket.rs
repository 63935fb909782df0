//! The engine's own socket, for test containers that stop and start the services they test.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::docker::Docker;

/// A socket, and the group that may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its place on this machine.
    pub path: PathBuf,
    /// The group's number.
    pub group: u32,
}

impl Docker {
    /// The socket of the engine that docker talks to: that of `DOCKER_HOST`, else of the context in use (docker resolves both
    /// in `docker context inspect`).
    ///
    /// # Errors
    /// When docker talks to another machine, or there is no such socket on this one.
    pub fn socket(&self) -> Result<Socket> {
        let host = self.cmd(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]).read()?;
        let Some(path) = host.strip_prefix("unix://").map(PathBuf::from) else {
            bail!("docker talks to an engine at {host}, which is no socket of this machine");
        };
        let about =
            path.metadata().with_context(|| format!("docker talks to an engine at {}", path.display()))?;
        if !about.file_type().is_socket() {
            bail!("docker talks to an engine at {}, which is no socket", path.display());
        }
        Ok(Socket { path, group: about.gid() })
    }
}
