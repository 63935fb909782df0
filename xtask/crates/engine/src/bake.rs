//! The bake definition (Docker's "Bake file reference", JSON form) and the one command that runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::docker::Docker;
use crate::version::Version;
use host::process::{Cmd, ProcessError};
use model::platform::Platform;

/// The content of a definition file.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Definition {
    /// Groups of targets by name; `default` is built.
    pub group: BTreeMap<String, Group>,
    /// Targets by name.
    pub target: BTreeMap<String, Target>,
    /// Variables that bake takes from the environment, so that their values are in no file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variable: BTreeMap<String, Variable>,
}

impl Definition {
    /// The definition as JSON. Bake treats every string in a JSON file as a template, including keys (HCL, "JSON Expressions"),
    /// so `${…}` and `%{…}` are escaped, except in arguments set from the variable of the same name.
    ///
    /// # Errors
    /// Never: every key is a string.
    pub fn json(&self) -> serde_json::Result<String> {
        // Safe on the serialized text: JSON has no `${` or `%{` outside strings and no unescaped quote inside them.
        let escaped = serde_json::to_string_pretty(self)?.replace("${", "$${").replace("%{", "%%{");
        let filled_in = |text: String, name: &String| {
            text.replace(&format!("\"{name}\": \"$${{{name}}}\""), &format!("\"{name}\": \"${{{name}}}\""))
        };
        Ok(self.variable.keys().fold(escaped, filled_in))
    }
}

/// A group of targets.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    /// The names of the targets.
    pub targets: Vec<String>,
}

/// A variable that the environment overrides.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Variable {
    /// The value where the environment has none.
    pub default: String,
}

/// A target.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Target {
    /// The build context.
    pub context: String,
    /// The Dockerfile, relative to the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The Dockerfile's text, instead of a file.
    #[serde(rename = "dockerfile-inline", skip_serializing_if = "Option::is_none")]
    pub dockerfile_inline: Option<String>,
    /// The stage to build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The platforms to build for; none for the builder's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Named contexts for FROM and COPY --from.
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
    /// The env file that Compose takes the secrets' variables from if they are not set.
    #[serde(skip)]
    pub env_file: Option<PathBuf>,
    /// SSH agents and keys, `default` or `ID=PATH`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<String>,
    /// The network of RUN instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Entries for `/etc/hosts`: addresses by host name.
    #[serde(rename = "extra-hosts", skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_hosts: BTreeMap<String, String>,
    /// The size of `/dev/shm`.
    #[serde(rename = "shm-size", skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<String>,
    /// Limits of processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<String>,
    /// Whether to ignore the cache.
    #[serde(rename = "no-cache", skip_serializing_if = "std::ops::Not::not")]
    pub no_cache: bool,
    /// Stages that ignore the cache.
    #[serde(rename = "no-cache-filter", skip_serializing_if = "Vec::is_empty")]
    pub no_cache_filter: Vec<String>,
    /// Whether to pull newer base images.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pull: bool,
    /// Caches to read.
    #[serde(rename = "cache-from", skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<String>,
    /// Caches to write.
    #[serde(rename = "cache-to", skip_serializing_if = "Vec::is_empty")]
    pub cache_to: Vec<String>,
    /// Outputs of the result.
    pub output: Vec<String>,
}

/// Options of `docker buildx bake`.
#[derive(Debug, Clone, Default)]
pub struct BakeOptions {
    /// Pull newer base images.
    pub pull: bool,
    /// Write the digests of the results to this file.
    pub metadata: Option<PathBuf>,
}

impl Docker {
    /// The version of Buildx; `None` if there is none.
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn buildx_version(&self) -> Result<Option<Version>, ProcessError> {
        let output = self.cmd(["buildx", "version"]).capture()?;
        Ok(Version::find(&output.stdout).filter(|_| output.success()))
    }

    /// `docker buildx bake` for these targets of a definition file. Targets in `fresh` are built without cache.
    pub fn bake<'t>(
        &self,
        file: &Path,
        targets: &[String],
        fresh: impl IntoIterator<Item = &'t String>,
        options: &BakeOptions,
    ) -> Cmd {
        let mut cmd = self
            .buildx(["bake", "--progress=rawjson"])
            // Bake always reads `.env` from the current folder; the definition's folder has none.
            .dir(file.parent().unwrap_or(Path::new("/")))
            // The build contexts are then outside the current folder, which Buildx 0.20 and newer would reject.
            .env("BUILDX_BAKE_ENTITLEMENTS_FS", "0")
            // Attestations contain the time: equal builds would get different digests on the containerd store.
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            // So would git data; the definition sets the revision label.
            .env("BUILDX_GIT_INFO", "0")
            .env("BUILDX_GIT_LABELS", "0")
            // Otherwise every change of a base would leave an untagged image behind.
            .env("BUILDX_NO_DEFAULT_LOAD", "1")
            .arg("--file")
            .arg(file.display().to_string());
        cmd = cmd.args(fresh.into_iter().map(|target| format!("--set={target}.no-cache=true")));
        if options.pull {
            cmd = cmd.arg("--pull");
        }
        if let Some(file) = &options.metadata {
            cmd = cmd.arg("--metadata-file").arg(file.display().to_string());
        }
        cmd.args(targets)
    }

    /// The digests of pushed images by target, from a metadata file (Docker's manual, "docker buildx bake", `--metadata-file`).
    ///
    /// # Errors
    /// When the text is invalid.
    pub fn pushed_digests(text: &str) -> serde_json::Result<BTreeMap<String, String>> {
        let targets: BTreeMap<String, serde_json::Value> = serde_json::from_str(text)?;
        let digest =
            |about: &serde_json::Value| Some(about.get("containerimage.digest")?.as_str()?.to_owned());
        Ok(targets.into_iter().filter_map(|(name, about)| Some((name, digest(&about)?))).collect())
    }

    /// Whether a build can start from an image: uses the same daemon, mirrors, proxies and local images. The inner error is
    /// docker's message.
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn resolves(
        &self,
        reference: &str,
        platform: Option<&Platform>,
    ) -> Result<Result<(), String>, ProcessError> {
        let mut cmd = self
            .buildx(["build", "--progress=plain", "--output=type=cacheonly"])
            .env("BUILDX_NO_DEFAULT_LOAD", "1");
        if let Some(platform) = platform {
            cmd = cmd.arg(format!("--platform={platform}"));
        }
        let output = cmd.arg("-").stdin(format!("FROM {reference}\n")).long().capture()?;
        Ok(if output.success() { Ok(()) } else { Err(output.stderr) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_not_templates() {
        let proxy = ("HTTP_PROXY".to_owned(), "${HTTP_PROXY}".to_owned());
        let target = Target {
            context: "/r/${X}".into(),
            args: BTreeMap::from([proxy, ("A".to_owned(), "%{ if true }${HTTP_PROXY}$x".to_owned())]),
            contexts: BTreeMap::from([("b${Y}".to_owned(), "target:c".to_owned())]),
            ..Target::default()
        };
        let definition = Definition {
            target: BTreeMap::from([("t".to_owned(), target)]),
            variable: BTreeMap::from([("HTTP_PROXY".to_owned(), Variable::default())]),
            ..Definition::default()
        };
        let json: serde_json::Value = serde_json::from_str(&definition.json().unwrap()).unwrap();
        let target = &json["target"]["t"];
        assert_eq!(target["context"], "/r/$${X}");
        assert_eq!(target["args"]["A"], "%%{ if true }$${HTTP_PROXY}$x");
        assert_eq!(target["args"]["HTTP_PROXY"], "${HTTP_PROXY}");
        assert_eq!(target["contexts"]["b$${Y}"], "target:c");
    }
}
