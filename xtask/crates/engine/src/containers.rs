//! Containers in the engine.

use std::collections::BTreeMap;
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::docker::Docker;
use crate::images::GraphDriver;
use crate::inspect::ContainerConfig;
use crate::labels;
use crate::signs::{failed, unexpected_error};
use host::process::{Output, ProcessError};

/// The answer of `docker container inspect`, as far as it is used.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerInspect {
    /// The ID.
    pub id: String,
    /// The name, with a leading slash.
    pub name: String,
    /// The ID of its image.
    pub image: String,
    /// What it was started with.
    pub config: ContainerConfig,
    /// How it is confined.
    pub host_config: HostConfig,
    /// Whether it runs, and since when.
    pub state: ContainerState,
    /// The mount point of its file system.
    pub graph_driver: GraphDriver,
    /// How often its restart policy has restarted it since it was last started explicitly.
    pub restart_count: u32,
}

impl ContainerInspect {
    /// The value of a label; empty without one.
    pub fn label(&self, name: &str) -> &str {
        let labels = self.config.labels.as_ref();
        labels.and_then(|labels| labels.get(name)).map_or("", String::as_str)
    }
}

/// How a container is confined.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// The name of its OCI runtime, such as `runc`.
    pub runtime: String,
    /// `--read-only`.
    pub readonly_rootfs: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// Added capabilities.
    pub cap_add: Option<Vec<String>>,
    /// Dropped capabilities.
    pub cap_drop: Option<Vec<String>>,
    /// Security options, such as `no-new-privileges`.
    pub security_opt: Option<Vec<String>>,
}

/// Whether a container runs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerState {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    pub status: String,
    /// Whether it runs; a paused one does.
    pub running: bool,
    /// The ID of its first process on the host; 0 when it does not run.
    pub pid: u32,
    /// When it was last started, as RFC 3339.
    pub started_at: String,
    /// Only meaningful after it has exited.
    pub exit_code: i32,
    /// The state of its health check; `None` without one.
    pub health: Option<HealthState>,
}

/// The state of a health check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HealthState {
    /// `healthy`, `unhealthy`, `starting`.
    pub status: String,
}

impl Docker {
    /// Inspects containers; those that do not exist are left out.
    ///
    /// # Errors
    /// When docker fails.
    pub fn inspect_containers(&self, ids: &[String]) -> Result<Vec<ContainerInspect>> {
        if ids.is_empty() { Ok(Vec::new()) } else { self.inspect_existing("container", ids) }
    }

    /// Inspects one container.
    ///
    /// # Errors
    /// When it does not exist, or docker fails.
    pub fn inspect_container(&self, id: &str) -> Result<ContainerInspect> {
        let mut found = self.inspect_containers(&[id.to_owned()])?;
        found.pop().with_context(|| format!("the container {id} is gone"))
    }

    /// The containers of a Compose project's services, running or not. Containers that vanish while they are listed are omitted.
    /// Ignores Ctrl-C.
    ///
    /// # Errors
    /// When docker fails.
    pub fn project_containers(&self, project: &str) -> Result<Vec<ContainerInspect>> {
        let list = self.cmd(["ps", "--all", "--quiet", "--no-trunc", "--filter"]);
        let list = list.arg(labels::filter(labels::COMPOSE_PROJECT, project)).arg("--filter");
        // Excludes containers of `docker compose run`.
        let ids = list.arg(labels::filter(labels::COMPOSE_ONE_OFF, "False")).apart().read()?;
        self.inspect_containers(&ids.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    /// The last lines of a container's log, with secrets masked. Ignores Ctrl-C.
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn last_lines(&self, id: &str, lines: u32) -> Result<String, ProcessError> {
        let output = self.cmd(["logs", "--tail", &lines.to_string(), id]).apart().capture()?;
        Ok(self.runner.secrets.mask(&(output.stdout + &output.stderr)))
    }

    /// All that a container has written, unmasked.
    ///
    /// # Errors
    /// When docker fails.
    pub fn container_output(&self, id: &str) -> Result<Output, ProcessError> {
        self.cmd(["logs", id]).capture()
    }

    /// The IDs of containers with a label, running or not.
    ///
    /// # Errors
    /// When docker fails.
    pub fn containers_with_label(&self, label: &str, value: &str) -> Result<Vec<String>> {
        let list = self.cmd(["ps", "--all", "--quiet", "--no-trunc", "--filter"]);
        let ids = list.arg(labels::filter(label, value)).apart().read()?;
        Ok(ids.lines().map(str::to_owned).collect())
    }

    /// Kills and removes containers with their anonymous volumes. Ctrl-C does not end it.
    ///
    /// # Errors
    /// When docker fails; not when a container is gone or being removed already.
    pub fn remove_containers(&self, ids: &[String]) -> Result<()> {
        let output = self.cmd(["rm", "--force", "--volumes"]).args(ids).apart().capture()?;
        match unexpected_error(&output) {
            Some(line) => bail!(failed("`docker rm` failed", line)),
            None => Ok(()),
        }
    }

    /// The host's user IDs of a container's processes.
    ///
    /// # Errors
    /// When it is not running, or docker fails.
    pub fn process_users(&self, id: &str) -> Result<Vec<String>> {
        let text = self.cmd(["top", id, "-eo", "uid,pid"]).read()?;
        let lines = text.lines().skip(1);
        Ok(lines.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// A container's `/etc/passwd`, at most 1 MiB of it; empty if there is none.
    ///
    /// # Errors
    /// When docker fails.
    pub fn passwd(&self, id: &str) -> Result<String> {
        let stream = self.cmd(["cp", "--follow-link", &format!("{id}:/etc/passwd"), "-"]).reader()?;
        match first_file(stream) {
            Ok(text) => Ok(text),
            Err(error) if error.to_string().contains("Could not find the file") => Ok(String::new()),
            Err(error) => Err(error).context("cannot read the container's /etc/passwd"),
        }
    }

    /// The names of containers, running or not, by image ID.
    ///
    /// # Errors
    /// When docker fails.
    pub fn containers_by_image(&self) -> Result<BTreeMap<String, Vec<String>>> {
        let ids = self.cmd(["ps", "--all", "--quiet", "--no-trunc"]).read()?;
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        // One that was removed in between does not matter.
        for container in self.inspect_existing::<ContainerInspect>("container", ids.lines())? {
            let name = container.name.trim_start_matches('/').to_owned();
            found.entry(container.image).or_default().push(name);
        }
        Ok(found)
    }
}

/// The first file of a tar, at most 1 MiB of it.
fn first_file(mut stream: impl Read) -> io::Result<String> {
    let mut text = Vec::new();
    if let Some(entry) = tar::Archive::new(&mut stream).entries()?.next() {
        entry?.take(1 << 20).read_to_end(&mut text)?;
    }
    // The exit code.
    io::copy(&mut stream, &mut io::sink())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
