//! What `docker image inspect` and `docker container inspect` have in common.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::docker::Docker;
use crate::signs::{failed, unexpected_error};

/// What an image or a container starts with (moby, `container.Config`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// The image's reference as it was given; of containers only.
    pub image: String,
    /// Labels.
    pub labels: Option<BTreeMap<String, String>>,
    /// Environment, as `NAME=VALUE`.
    pub env: Option<Vec<String>>,
    /// `WORKDIR`.
    pub working_dir: String,
    /// `USER`; empty means root.
    pub user: String,
    /// `EXPOSE`, as `8080/tcp`; the values are empty.
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    /// `VOLUME`; the values are empty.
    pub volumes: Option<BTreeMap<String, Value>>,
    /// `ENTRYPOINT`.
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`.
    pub cmd: Option<Vec<String>>,
    /// `HEALTHCHECK`.
    pub healthcheck: Option<Healthcheck>,
    /// `SHELL`.
    pub shell: Option<Vec<String>>,
}

/// A health check; times in nanoseconds, 0 for docker's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `CMD` and arguments, `CMD-SHELL` and a command line, or `NONE`.
    pub test: Option<Vec<String>>,
    /// Between two checks.
    pub interval: u64,
    /// Until a check has failed.
    pub timeout: u64,
    /// Failures within this time do not count.
    pub start_period: u64,
    /// Between two checks within the start period.
    pub start_interval: u64,
    /// Failures in a row that make the container unhealthy.
    pub retries: u64,
}

impl Docker {
    /// `docker KIND inspect`: those of `references` that exist, in no particular order. Ignores Ctrl-C.
    ///
    /// # Errors
    /// When docker fails for another reason than a missing image or container.
    pub(crate) fn inspect_existing<T: DeserializeOwned>(
        &self,
        kind: &str,
        references: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Vec<T>> {
        // `--` keeps a reference that begins with a dash from being an option.
        let output = self.cmd([kind, "inspect", "--"]).args(references).apart().capture()?;
        match unexpected_error(&output) {
            Some(line) => bail!(failed(&format!("`docker {kind} inspect` failed"), line)),
            None => serde_json::from_str(&output.stdout)
                .with_context(|| format!("unexpected output of `docker {kind} inspect`")),
        }
    }
}
