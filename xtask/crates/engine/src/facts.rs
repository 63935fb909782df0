//! What is installed: versions of the client, its plugins and the engine; the image store.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::docker::Docker;
use crate::version::Version;
use host::process::{ProcessError, find};
use model::platform::Platform;

/// Minimum versions. Engine 25 brought the start interval of health checks, Buildx 0.13 `--progress=rawjson`, Compose 2.24.4
/// `!override` (2.20 had brought `include`).
pub const LEAST_ENGINE: Version = Version::new(25, 0);
/// See [`LEAST_ENGINE`].
pub const LEAST_BUILDX: Version = Version::new(0, 13);
/// See [`LEAST_ENGINE`].
pub const LEAST_COMPOSE: Version = Version { major: 2, minor: 24, patch: 4 };

/// How an engine stores images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// Graph drivers: docker shows unpacked bytes.
    Classic,
    /// containerd snapshotters: docker shows compressed plus unpacked bytes.
    Containerd,
}

/// What is installed and running.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    /// The docker command line.
    pub client: Option<Version>,
    /// Its Buildx plugin.
    pub buildx: Option<Version>,
    /// Its Compose plugin.
    pub compose: Option<Version>,
    /// The engine, when it answers.
    pub engine: Option<Version>,
    /// Its image store.
    pub store: Option<Store>,
    /// Its data folder.
    pub data_root: Option<String>,
    /// Docker's message when no engine answers.
    pub silence: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Info {
    server_version: String,
    driver_status: Option<Vec<Vec<String>>>,
    docker_root_dir: String,
    client_info: Option<ClientInfo>,
    server_errors: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ClientInfo {
    version: String,
    plugins: Option<Vec<Plugin>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Plugin {
    name: String,
    version: String,
}

impl Docker {
    /// All facts, in one call of docker.
    ///
    /// # Errors
    /// When docker is installed but cannot be run.
    pub fn facts(&self) -> Result<Facts, ProcessError> {
        if find("docker").is_none() {
            return Ok(Facts::default());
        }
        let output = self.cmd(["info", "--format", "{{json .}}"]).capture()?;
        let Ok(info) = serde_json::from_str::<Info>(&output.stdout) else {
            let client = self.cmd(["--version"]).capture()?.stdout;
            let silence = Some(first_line(&output.stderr));
            return Ok(Facts { client: Version::find(&client), silence, ..Facts::default() });
        };
        let mut facts = facts_of(&info);
        if facts.engine.is_none() && facts.silence.is_none() {
            facts.silence = Some(first_line(&output.stderr));
        }
        Ok(facts)
    }

    /// Whether an engine answers; faster than [`Docker::facts`].
    pub fn answers(&self) -> bool {
        self.engine_version().is_some()
    }

    /// The version of the engine, when one answers.
    pub fn engine_version(&self) -> Option<Version> {
        let text = self.cmd(["version", "--format", "{{.Server.Version}}"]).read().ok()?;
        Version::find(&text)
    }

    /// The engine's native platform.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn platform(&self) -> Result<Platform> {
        let text = self.cmd(["version", "--format", "{{.Server.Os}}/{{.Server.Arch}}"]).read()?;
        text.trim().parse().with_context(|| format!("unexpected output of `docker version`: {text}"))
    }

    /// The engine's image store.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn store(&self) -> Result<Store, ProcessError> {
        if self.registry.is_some() {
            // Like that store, a registry knows only packed sizes.
            return Ok(Store::Containerd);
        }
        let text = self.cmd(["info", "--format", "{{json .DriverStatus}}"]).read()?;
        Ok(store_of(serde_json::from_str::<Vec<Vec<String>>>(&text).ok().as_deref()))
    }
}

fn facts_of(info: &Info) -> Facts {
    let client = info.client_info.as_ref();
    let plugin = |name: &str| {
        let plugins = client?.plugins.as_ref()?;
        Version::find(&plugins.iter().find(|plugin| plugin.name == name)?.version)
    };
    let engine = Version::find(&info.server_version);
    Facts {
        client: client.and_then(|client| Version::find(&client.version)),
        buildx: plugin("buildx"),
        compose: plugin("compose"),
        engine,
        store: engine.map(|_| store_of(info.driver_status.as_deref())),
        data_root: Some(info.docker_root_dir.clone()).filter(|dir| !dir.is_empty()),
        silence: info.server_errors.as_ref().and_then(|errors| errors.first().cloned()),
    }
}

/// `docker info` has a driver type only on the containerd store (moby, daemon/info.go).
fn store_of(driver_status: Option<&[Vec<String>]>) -> Store {
    let is_containerd = driver_status.is_some_and(|pairs| {
        pairs.iter().any(|pair| pair.len() == 2 && pair[0] == "driver-type" && pair[1].contains("containerd"))
    });
    if is_containerd { Store::Containerd } else { Store::Classic }
}

fn first_line(text: &str) -> String {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("docker printed no error").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_info_covers_client_plugins_and_engine() {
        let text = r#"{"ServerVersion":"26.1.5+dfsg1","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],
            "DockerRootDir":"/var/lib/docker","ClientInfo":{"Version":"28.2.2","Plugins":[
            {"Name":"buildx","Version":"0.13.1+ds1"},{"Name":"compose","Version":"2.26.1-4"}]}}"#;
        let facts = facts_of(&serde_json::from_str(text).unwrap());
        assert_eq!(facts.engine.map(|v| v.major), Some(26));
        assert_eq!(facts.buildx.map(|v| v.minor), Some(13));
        assert_eq!(facts.compose.map(|v| v.minor), Some(26));
        assert_eq!(facts.store, Some(Store::Containerd));
    }

    #[test]
    fn without_a_daemon_there_is_no_engine() {
        let text = r#"{"ServerErrors":["Cannot connect to the Docker daemon"],"ClientInfo":{"Version":"28.2.2","Plugins":null}}"#;
        let facts = facts_of(&serde_json::from_str(text).unwrap());
        assert!(facts.engine.is_none() && facts.store.is_none() && facts.buildx.is_none());
        assert_eq!(facts.silence.as_deref(), Some("Cannot connect to the Docker daemon"));
    }
}
