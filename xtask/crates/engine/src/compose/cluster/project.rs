//! The top level.

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
    /// By name.
    pub services: BTreeMap<String, ClusterService>,
    /// By the key in the files; the default network is `default`.
    pub networks: BTreeMap<String, ClusterNetwork>,
    /// By the key in the files.
    pub volumes: BTreeMap<String, ClusterVolume>,
    /// By the key in the files.
    pub configs: BTreeMap<String, ConfigFile>,
    /// By the key in the files.
    pub secrets: BTreeMap<String, ConfigFile>,
    #[serde(flatten)]
    other: Unread,
}

/// A network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterNetwork {
    /// The name that the engine knows it by.
    pub name: String,
    /// Whether it exists outside of the project.
    pub external: bool,
    /// Whether it has no way out.
    pub internal: bool,
    /// The driver, if set.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, serde_json::Value>,
    /// Whether containers may attach to it outside of the project.
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
    /// The name that the engine knows it by.
    pub name: String,
    /// Whether it exists outside of the project.
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
    /// The name that the engine knows it by.
    pub name: String,
    /// Whether it exists outside of the project.
    pub external: bool,
    /// The file, an absolute path.
    pub file: Option<PathBuf>,
    /// The content as written in the Compose file, with variables filled in.
    pub content: Option<Hidden>,
    /// The variable that holds the content.
    pub environment: Option<String>,
    #[serde(flatten)]
    other: Unread,
}

impl ClusterProject {
    /// Reads the answer of `docker compose config --format json`.
    ///
    /// # Errors
    /// When it is not such an answer.
    pub fn read(text: &str) -> Result<ClusterProject> {
        // Compose doubles every `$` in its answer, also in keys (compose, `escapeDollarSign`). `$` is not special in JSON.
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

/// Null is a network without settings.
pub(super) fn networks<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    let all: BTreeMap<String, Option<T>> = or_default(deserializer)?;
    Ok(all.into_iter().map(|(name, network)| (name, network.unwrap_or_default())).collect())
}
