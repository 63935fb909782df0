//! Containers as the engine itself sees them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::docker::Docker;

/// What `docker inspect` says of a container, as far as anyone here asks.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspected {
    /// Its ID.
    pub id: String,
    /// The ID of the image that it runs.
    pub image: String,
    /// What it was started with.
    pub config: StartedWith,
    /// How it is confined.
    pub host_config: Confinement,
    /// How it is.
    pub state: State,
}

/// What a container or an image starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartedWith {
    /// The reference of a container's image, as it was given.
    #[serde(default)]
    pub image: String,
    /// `USER`.
    #[serde(default)]
    pub user: String,
    /// `ENTRYPOINT`.
    #[serde(default)]
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`.
    #[serde(default)]
    pub cmd: Option<Vec<String>>,
    /// `HEALTHCHECK`.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
}

/// A health check; times in nanoseconds, 0 for docker's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `CMD` or `CMD-SHELL` and what is run; `NONE` where it was taken away.
    #[serde(default)]
    pub test: Option<Vec<String>>,
    /// Between two checks.
    #[serde(default)]
    pub interval: u64,
    /// Until one has failed.
    #[serde(default)]
    pub timeout: u64,
    /// In which a failure does not count.
    #[serde(default)]
    pub start_period: u64,
    /// Between two checks within the start period.
    #[serde(default)]
    pub start_interval: u64,
    /// Failures in a row that make it unhealthy; 0 for docker's own.
    #[serde(default)]
    pub retries: u64,
}

/// How a container is confined.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Confinement {
    /// Whether its root file system is read-only.
    #[serde(default)]
    pub readonly_rootfs: bool,
    /// Whether it has all of the host's rights.
    #[serde(default)]
    pub privileged: bool,
    /// Capabilities that it was given.
    #[serde(default)]
    pub cap_add: Option<Vec<String>>,
    /// Capabilities that were taken from it.
    #[serde(default)]
    pub cap_drop: Option<Vec<String>>,
    /// `no-new-privileges` and its kin.
    #[serde(default)]
    pub security_opt: Option<Vec<String>>,
}

/// How a container is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// `running` and so on.
    #[serde(default)]
    pub status: String,
    /// What its health check says; `None` without one.
    #[serde(default)]
    pub health: Option<Health>,
}

/// What a health check says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// `healthy`, `unhealthy`, `starting`.
    #[serde(default)]
    pub status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageConfig {
    id: String,
    config: Option<StartedWith>,
}

impl Docker {
    /// Looks at containers, in the order of their IDs here.
    ///
    /// # Errors
    /// When one is gone, or docker cannot be asked.
    pub fn inspect_containers(&self, ids: &[String]) -> Result<Vec<Inspected>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let text = self.cmd(["container", "inspect"]).args(ids.iter().cloned()).read()?;
        serde_json::from_str(&text).context("docker container inspect gave no JSON")
    }

    /// What images start, by their ID.
    ///
    /// # Errors
    /// When one is gone, or docker cannot be asked.
    pub fn image_starts(&self, ids: &[String]) -> Result<BTreeMap<String, StartedWith>> {
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let text = self.cmd(["image", "inspect"]).args(ids.iter().cloned()).read()?;
        let images: Vec<ImageConfig> =
            serde_json::from_str(&text).context("docker image inspect gave no JSON")?;
        Ok(images.into_iter().map(|image| (image.id, image.config.unwrap_or_default())).collect())
    }

    /// The user IDs that a container's processes run as, as the host counts them.
    ///
    /// # Errors
    /// When it does not run, or docker cannot be asked.
    pub fn process_users(&self, id: &str) -> Result<Vec<String>> {
        let text = self.cmd(["top", id, "-eo", "uid,pid"]).read()?;
        let lines = text.lines().skip(1);
        Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// The names of containers, running or not, by the ID of the image that each was made from.
    ///
    /// # Errors
    /// When docker cannot be asked.
    pub fn containers_by_image(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let ids = self.cmd(["ps", "--all", "--quiet", "--no-trunc"]).read()?;
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        let cmd = self.cmd(["container", "inspect", "--format", "{{.Image}} {{.Name}}"]).args(ids.lines());
        let output = cmd.capture()?;
        // One that ended and was removed in between is in nobody's way.
        let unexpected = output
            .stderr
            .lines()
            .find(|line| !line.trim().is_empty() && !line.to_lowercase().contains("no such container"));
        if let (false, Some(line)) = (output.success(), unexpected) {
            bail!("docker cannot look at containers: {}", line.trim());
        }
        for (image, name) in output.stdout.lines().filter_map(|line| line.split_once(' ')) {
            found.entry(image.to_owned()).or_default().push(name.trim_start_matches('/').to_owned());
        }
        Ok(found)
    }
}
