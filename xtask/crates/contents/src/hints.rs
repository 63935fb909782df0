//! What an image's configuration tells about its files.

use engine::images::Image;

/// What an image's configuration tells about its files.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// The working directory, without slashes at its ends.
    pub working_dir: String,
    /// The entrypoint and the command.
    pub command: Vec<String>,
    /// The environment, as `NAME=VALUE`.
    pub env: Vec<String>,
}

impl Hints {
    /// From an image's configuration.
    pub fn of(image: &Image) -> Hints {
        let Some(config) = &image.config else { return Hints::default() };
        Hints {
            working_dir: config.working_dir.trim_matches('/').to_owned(),
            command: [&config.entrypoint, &config.cmd].into_iter().flatten().flatten().cloned().collect(),
            env: config.env.clone().unwrap_or_default(),
        }
    }
}
