//! Buildx builders: their drivers and features.

use crate::docker::Docker;
use crate::facts::Store;
use host::process::ProcessError;

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
