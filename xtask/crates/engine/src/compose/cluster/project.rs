//! The top level of a Compose project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::compose::cluster::service::ClusterService;
use crate::compose::cluster::unread::{Collector, Unread, UnreadKey};
use crate::compose::cluster::values::{Hidden, or_default};

/// A project.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterProject {
    /// The project's name.
    pub name: String,
    /// Services by name.
    pub services: BTreeMap<String, ClusterService>,
    /// Networks by key; the default network is `default`.
    pub networks: BTreeMap<String, ClusterNetwork>,
    /// Volumes by key.
    pub volumes: BTreeMap<String, ClusterVolume>,
    /// Configs by key.
    pub configs: BTreeMap<String, ConfigFile>,
    /// Secrets by key.
    pub secrets: BTreeMap<String, ConfigFile>,
    #[serde(flatten)]
    other: Unread,
}

/// A network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterNetwork {
    /// The name in the engine.
    pub name: String,
    /// Whether it is managed outside the project.
    pub external: bool,
    /// Whether it is isolated from external networks.
    pub internal: bool,
    /// The driver, if set.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, serde_json::Value>,
    /// Whether containers outside the project may attach to it.
    pub attachable: bool,
    // Compose prints it even if it is empty.
    ipam: ClusterIpam,
    #[serde(flatten)]
    other: Unread,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ClusterIpam {
    #[serde(flatten)]
    other: Unread,
}

/// A named volume.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterVolume {
    /// The name in the engine.
    pub name: String,
    /// Whether it is managed outside the project.
    pub external: bool,
    /// The driver, if set.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, serde_json::Value>,
    #[serde(flatten)]
    other: Unread,
}

/// A config or a secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ConfigFile {
    /// The name in the engine.
    pub name: String,
    /// Whether it is managed outside the project.
    pub external: bool,
    /// The absolute path of the file.
    pub file: Option<PathBuf>,
    /// The content from the Compose file, with variables substituted.
    pub content: Option<Hidden>,
    /// The environment variable that holds the content.
    pub environment: Option<String>,
    #[serde(flatten)]
    other: Unread,
}

impl ConfigFile {
    /// Reads the content. `value` looks up a variable.
    ///
    /// # Errors
    /// The reason that it cannot be read.
    pub fn read<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> Result<Vec<u8>, String> {
        match (&self.file, &self.content, &self.environment) {
            (Some(path), _, _) => {
                std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
            }
            (_, Some(content), _) => Ok(content.reveal().as_bytes().to_vec()),
            (_, _, Some(name)) => match value(name) {
                Some(value) => Ok(value.as_bytes().to_vec()),
                None => Err(format!("the variable {name} is not set")),
            },
            (None, None, None) => Err("no `file`, `content` or `environment`".to_owned()),
        }
    }
}

impl ClusterProject {
    /// Parses the output of `docker compose config --format json`.
    ///
    /// # Errors
    /// When the output has an unexpected form.
    pub fn read(text: &str) -> Result<ClusterProject> {
        // Compose doubles every `$` in its output, including keys (compose, `escapeDollarSign`). `$` is not special in JSON.
        serde_json::from_str(&text.replace("$$", "$")).context("unexpected output of `docker compose config`")
    }

    /// All keys that are set but not read, by service.
    pub fn unread(&self) -> Vec<UnreadKey> {
        let mut found = Vec::new();
        let mut top = Collector { service: None, found: &mut found };
        top.add("", &self.other);
        for (name, network) in &self.networks {
            top.add(&format!("networks.{name}"), &network.other);
            top.add(&format!("networks.{name}.ipam"), &network.ipam.other);
        }
        for (name, volume) in &self.volumes {
            top.add(&format!("volumes.{name}"), &volume.other);
        }
        for (kind, all) in [("configs", &self.configs), ("secrets", &self.secrets)] {
            for (name, config) in all {
                top.add(&format!("{kind}.{name}"), &config.other);
            }
        }
        for (name, service) in &self.services {
            service.collect_unread(&mut Collector { service: Some(name), found: &mut found });
        }
        found
    }
}

/// Null means a network without settings.
pub(super) fn networks<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let all: BTreeMap<String, Option<T>> = or_default(deserializer)?;
    Ok(all.into_iter().map(|(name, network)| (name, network.unwrap_or_default())).collect())
}
