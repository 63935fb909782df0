//! Buildx builders: their drivers and features.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::docker::Docker;
use crate::facts::Store;
use host::files;
use host::process::ProcessError;
use model::platform::Platform;

/// Whether a build is certain to use the engine's own builder, which takes base images from the engine. Other builders may pull them
/// from registries.
pub fn is_own_builder(option: Option<&str>) -> bool {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let named = option.map(str::to_owned).or_else(|| variable("BUILDX_BUILDER"));
    if let Some(name) = named {
        return is_default(&name);
    }
    let home = || Some(Path::new(&variable("HOME")?).join(".docker"));
    let docker = || variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
    let folder = variable("BUILDX_CONFIG").map(PathBuf::from).or_else(|| Some(docker()?.join("buildx")));
    folder.is_none_or(|folder| chosen(&folder).iter().all(|name| is_default(name)))
}

/// Whether `name` refers to the engine's own builder.
fn is_default(name: &str) -> bool {
    name.is_empty() || name == "default"
}

/// The builders selected with `docker buildx use`, for any engine (docker/buildx, `store/store.go`): in `current`, or with `--default` in
/// one file per engine. An unreadable file counts as an unknown builder.
fn chosen(folder: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Current {
        name: String,
    }
    const UNKNOWN: &str = "?";
    let read = |path: &Path| files::read_if_there(path).map_err(drop);
    let current = read(&folder.join("current")).and_then(|text| match text {
        Some(text) => serde_json::from_str(&text).map(|current: Current| current.name).map_err(drop),
        None => Ok(String::new()),
    });
    let defaults = fs::read_dir(folder.join("defaults")).into_iter().flatten().flatten();
    let defaults = defaults.map(|entry| read(&entry.path()).map(Option::unwrap_or_default));
    [current].into_iter().chain(defaults).map(|name| name.unwrap_or_else(|()| UNKNOWN.to_owned())).collect()
}

impl Docker {
    /// Whether a builder can export its cache to a registry (Docker's manual, "Cache storage backends": the `docker` driver can "only if
    /// you have enabled the containerd image store"; the other drivers can). `None` means the current builder.
    ///
    /// # Errors
    /// The builder does not exist, or its daemon does not answer.
    pub fn writes_registry_cache(&self, builder: Option<&str>) -> Result<bool, ProcessError> {
        let about = self.cmd(["buildx", "inspect"]).args(builder).read()?;
        Ok(driver(&about) != Some("docker") || self.store()? == Store::Containerd)
    }

    /// The platforms that a builder can run programs for, natively or emulated. `None` means the current builder.
    ///
    /// # Errors
    /// The builder does not exist, or its daemon does not answer.
    pub fn builder_platforms(&self, builder: Option<&str>) -> Result<Vec<Platform>, ProcessError> {
        Ok(platforms(&self.cmd(["buildx", "inspect"]).args(builder).read()?))
    }

    /// The builder's name if it does not exist or none of its nodes runs; `None` if no problem was found. `builder` is `None`
    /// for the current one.
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn broken_builder(&self, builder: Option<&str>) -> Result<Option<String>, ProcessError> {
        let output = self.cmd(["buildx", "inspect"]).args(builder).capture()?;
        if output.success() {
            let name = value(&output.stdout, "Name:").unwrap_or_default();
            return Ok(is_down(&output.stdout).then(|| name.to_owned()));
        }
        // Only a named builder can be missing: without a name, Buildx falls back to the engine's own builder.
        let variable = || std::env::var("BUILDX_BUILDER").ok().filter(|name| !name.is_empty());
        Ok(builder.map(str::to_owned).or_else(variable))
    }
}

/// The platforms of all nodes. Buildx marks user-defined platforms with an asterisk.
fn platforms(about: &str) -> Vec<Platform> {
    let lists = about.lines().filter_map(|line| line.strip_prefix("Platforms:"));
    let names = lists.flat_map(|list| list.split(',')).map(|name| name.trim().trim_end_matches('*'));
    names.filter_map(|name| name.parse().ok()).collect()
}

/// Whether none of a builder's nodes is running.
fn is_down(about: &str) -> bool {
    let mut states =
        about.lines().filter_map(|line| value(line, "Status:").or(value(line, "Error:"))).peekable();
    states.peek().is_some() && !states.any(|state| state == "running")
}

fn value<'a>(about: &'a str, key: &str) -> Option<&'a str> {
    about.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}

fn driver(about: &str) -> Option<&str> {
    value(about, "Driver:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_not_confused_with_driver_options() {
        let about =
            "Name:          b\nDriver:        docker-container\n\nNodes:\nDriver Options: env.x=\"1\"\n";
        assert_eq!(driver(about), Some("docker-container"));
        assert_eq!(driver("Name: default\nDriver: docker\nLast Activity: now\n"), Some("docker"));
        assert_eq!(driver("Name: default\n"), None);
    }

    #[test]
    fn a_builder_that_was_chosen_is_not_taken_for_the_engines_own() {
        assert!(is_own_builder(Some("default")) && !is_own_builder(Some("far")));
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            files::write_atomically(&path, text.as_bytes()).unwrap();
        };
        let is_own = || chosen(folder.path()).iter().all(|name| is_default(name));
        assert!(is_own(), "nothing was chosen");
        for (current, own) in [
            (r#"{"Key":"unix:///var/run/docker.sock","Name":"","Global":false}"#, true),
            (r#"{"Key":"default","Name":"default","Global":true}"#, true),
            (r#"{"Key":"unix:///var/run/docker.sock","Name":"far","Global":false}"#, false),
            ("{", false),
        ] {
            write("current", current);
            assert_eq!(is_own(), own, "{current}");
        }
        write("current", r#"{"Key":"x","Name":"","Global":false}"#);
        fs::create_dir(folder.path().join("defaults")).unwrap();
        write("defaults/0123", "far");
        assert!(!is_own(), "`docker buildx use --default`");
    }

    #[test]
    fn platforms_of_all_nodes_are_read() {
        let about = "Name: b\nNodes:\nName: b0\nPlatforms:        linux/amd64, linux/amd64/v2, linux/arm/v7\n\
                     Name: b1\nPlatforms: linux/arm64*\n";
        let names: Vec<String> = platforms(about).iter().map(Platform::to_string).collect();
        assert_eq!(names, ["linux/amd64", "linux/amd64/v2", "linux/arm/v7", "linux/arm64"]);
    }

    #[test]
    fn a_builder_is_down_when_no_node_runs() {
        let node = |status: &str| format!("\nNodes:\nName:     b0\nEndpoint: tcp://127.0.0.1:1\n{status}\n");
        let about = |nodes: &[&str]| {
            "Name: b\nDriver: remote\n".to_owned()
                + &nodes.iter().map(|status| node(status)).collect::<String>()
        };
        for (nodes, down) in [
            (&["Status:   inactive"][..], true),
            (&["Status: inactive", "Status: running"], false),
            (&["Status:   running"], false),
            (&["Error:    Cannot connect to the Docker daemon"], true),
            // Don't blame the builder for output we can't parse.
            (&[], false),
        ] {
            assert_eq!(is_down(&about(nodes)), down, "{nodes:?}");
        }
    }
}
