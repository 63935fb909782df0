//! The bake definition (Docker's "Bake file reference", JSON form) and the one command that runs it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::docker::Docker;
use host::process::{Cmd, ProcessError};

/// A whole definition: what `docker buildx bake --file` reads.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Definition {
    /// Groups of targets by name; `default` is what is built.
    pub group: BTreeMap<String, Group>,
    /// Targets by name.
    pub target: BTreeMap<String, Target>,
    /// Values that bake takes from the environment, so that none of them stands in a file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variable: BTreeMap<String, Variable>,
}

/// Targets that are built together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    /// Their names.
    pub targets: Vec<String>,
}

/// A value that the environment overrides.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Variable {
    /// Without one in the environment.
    pub default: String,
}

/// One target. Paths are as bake takes them: the Dockerfile relative to the context.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Target {
    /// The folder that is sent.
    pub context: String,
    /// The Dockerfile, relative to the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The Dockerfile's text, in place of a file.
    #[serde(rename = "dockerfile-inline", skip_serializing_if = "Option::is_none")]
    pub dockerfile_inline: Option<String>,
    /// The stage to stop at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Named contexts: what FROM and COPY --from find under a name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, String>,
    /// Build arguments.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Secrets, `id=…,src=…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret: Vec<String>,
    /// Caches that are read.
    #[serde(rename = "cache-from", skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<String>,
    /// Caches that are written.
    #[serde(rename = "cache-to", skip_serializing_if = "Vec::is_empty")]
    pub cache_to: Vec<String>,
    /// Where the result goes.
    pub output: Vec<String>,
}

/// How to run a definition.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Ignore the build cache.
    pub no_cache: bool,
    /// Ask registries for newer bases.
    pub pull: bool,
    /// Another builder than the current one.
    pub builder: Option<String>,
}

impl Docker {
    /// `docker buildx bake` of some targets of a definition file.
    pub fn bake(&self, file: &Path, targets: &[String], options: &Options) -> Cmd {
        let mut cmd = self
            .cmd(["buildx", "bake", "--progress=rawjson"])
            // Attestations carry the time, and would give equal builds different digests on the containerd store.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            // Git data would do the same; revision labels are set by the definition.
            .env("BUILDX_GIT_INFO", "0")
            // What only others stand on would be left behind as an untagged image at every change.
            .env("BUILDX_NO_DEFAULT_LOAD", "1")
            .arg("--file")
            .arg(file.display().to_string());
        if options.no_cache {
            cmd = cmd.arg("--no-cache");
        }
        if options.pull {
            cmd = cmd.arg("--pull");
        }
        if let Some(builder) = &options.builder {
            cmd = cmd.arg("--builder").arg(builder);
        }
        cmd.args(targets)
    }

    /// Tries whether the builder gets at an image that a Dockerfile starts from: through the same daemon, mirrors,
    /// proxies and local images as a build would.
    ///
    /// # Errors
    /// The text of docker's error, when it does not; or that docker could not be started.
    pub fn resolves(
        &self,
        reference: &str,
        builder: Option<&str>,
    ) -> Result<Result<(), String>, ProcessError> {
        let mut cmd = self
            .cmd(["buildx", "build", "--progress=plain", "--output=type=cacheonly"])
            .env("BUILDX_NO_DEFAULT_LOAD", "1");
        if let Some(builder) = builder {
            cmd = cmd.arg("--builder").arg(builder);
        }
        let output = cmd.arg("-").stdin(format!("FROM {reference}\n")).capture()?;
        Ok(if output.success() { Ok(()) } else { Err(output.stderr) })
    }
}
