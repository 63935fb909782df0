//! The engine's own socket, for test containers that stop and start the services they test.

use std::env;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Where engines listen unless told otherwise (Docker documentation, "Daemon socket option").
const USUAL: &str = "/var/run/docker.sock";

/// A socket, and the group that may use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its place on this machine.
    pub path: PathBuf,
    /// The group's number.
    pub group: u32,
}

/// The socket of the engine that docker talks to by default.
///
/// # Errors
/// When `DOCKER_HOST` leads elsewhere than to a socket of this machine, or there is none.
pub fn find() -> Result<Socket> {
    let host = env::var("DOCKER_HOST").unwrap_or_default();
    let path = match host.strip_prefix("unix://") {
        Some(path) => Path::new(path),
        None if host.is_empty() => Path::new(USUAL),
        None => bail!("DOCKER_HOST is {host}: stack tests need an engine with a socket on this machine"),
    };
    let about = path.metadata().with_context(|| format!("there is no socket {}", path.display()))?;
    Ok(Socket { path: path.to_owned(), group: about.gid() })
}
