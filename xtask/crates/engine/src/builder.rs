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
}

fn driver(about: &str) -> Option<&str> {
    about.lines().find_map(|line| line.strip_prefix("Driver:")).map(str::trim)
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
}
