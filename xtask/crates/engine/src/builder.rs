//! Buildx builders: their drivers and features.

use crate::docker::Docker;
use crate::facts::Store;
use host::process::ProcessError;
use model::platform::Platform;

impl Docker {
    /// Whether a builder can export its cache to a registry (Docker's manual, "Cache storage backends": the `docker` driver
    /// can "only if you have enabled the containerd image store"; the other drivers can). `None` is the current builder.
    ///
    /// # Errors
    /// When there is no such builder, or no daemon answers.
    pub fn writes_registry_cache(&self, builder: Option<&str>) -> Result<bool, ProcessError> {
        let about = self.cmd(["buildx", "inspect"]).args(builder).read()?;
        Ok(driver(&about) != Some("docker") || self.store()? == Store::Containerd)
    }

    /// The platforms whose programs a builder can run, by itself or by emulation. `None` is the current builder.
    ///
    /// # Errors
    /// When there is no such builder, or no daemon answers.
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

/// The platforms of all nodes. Buildx marks those that a user has set with an asterisk.
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
