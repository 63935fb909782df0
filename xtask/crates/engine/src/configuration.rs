//! What Compose makes of a project's files, as far as it reaches beyond the project: names, networks, folders of this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Deserialize;

use crate::compose::Project;

/// The whole of it. Volumes and networks that no service uses are not in it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Configuration {
    /// By name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// By the key in the files.
    #[serde(default)]
    pub networks: BTreeMap<String, Resource>,
    /// By the key in the files.
    #[serde(default)]
    pub volumes: BTreeMap<String, Resource>,
}

/// A service.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Service {
    /// The name that its container is to have, where the files say one.
    #[serde(default)]
    pub container_name: Option<String>,
    /// `host` and so on, where it is said.
    #[serde(default)]
    pub network_mode: Option<String>,
    /// What is mounted.
    #[serde(default)]
    pub volumes: Vec<Mount>,
}

/// Something that is mounted.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Mount {
    /// `volume`, `bind`, `tmpfs`…
    #[serde(rename = "type", default)]
    pub kind: String,
    /// A volume's key, or a path of this machine.
    #[serde(default)]
    pub source: PathBuf,
    /// Where in the container.
    #[serde(default)]
    pub target: String,
    /// Whether the container cannot write there.
    #[serde(default)]
    pub read_only: bool,
}

/// A volume or a network.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Resource {
    /// Whether somebody else makes it.
    #[serde(default)]
    pub external: bool,
    /// The name that the engine knows it by.
    #[serde(default)]
    pub name: String,
}

impl Project {
    /// The configuration of its files under its name, with variables filled in. Asks no engine.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn configuration(&self) -> Result<Configuration> {
        self.read_config()
    }
}
