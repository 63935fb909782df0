//! The Buildx builder of a run: `--builder`, else BUILDX_BUILDER, else the builder selected with `docker buildx use`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::builder_state::BuilderState;
use crate::docker::Docker;
use crate::facts::Store;
use host::files;
use host::process::{Cmd, ProcessError};
use model::platform::Platform;

/// The name of the built-in context, which has no file.
const DEFAULT: &str = "default";

/// Where a builder stores its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuilderKind {
    /// The engine's own builder: it uses the engine's images and stores its results there.
    Engine,
    /// The builder of another engine, named by its docker context: it uses that engine's images and stores its results there.
    OtherEngine,
    /// A builder created with `docker buildx create`: it cannot use any engine's images, and Buildx loads its results into the engine.
    Created,
}

/// A builder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// Its name, if one was given; otherwise Buildx selects the builder.
    name: Option<String>,
    kind: BuilderKind,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder { name: None, kind: BuilderKind::Engine }
    }
}

/// The configuration of docker's client.
struct Client {
    /// The folder of `config.json` and contexts.
    docker: Option<PathBuf>,
    /// The folder of Buildx.
    buildx: Option<PathBuf>,
    /// The current context.
    context: String,
}

impl Builder {
    /// The builder with this name, or the one that Buildx would select. Reads only the client's files: the builder may be missing or
    /// unreachable.
    pub fn select(option: Option<&str>) -> Builder {
        let named = option.map(str::to_owned).or_else(|| variable("BUILDX_BUILDER"));
        Client::detect().builder(named)
    }

    /// Its name, if one was given.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where it stores its results.
    pub fn kind(&self) -> BuilderKind {
        self.kind
    }

    /// Whether builds are certain to start from the engine's images, if it has them. Other builders pull them from registries.
    pub fn is_engines_own(&self) -> bool {
        self.kind == BuilderKind::Engine
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Client {
    fn detect() -> Client {
        let home = || Some(Path::new(&variable("HOME")?).join(".docker"));
        let docker = variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home);
        let buildx = variable("BUILDX_CONFIG").map(PathBuf::from);
        let buildx = buildx.or_else(|| Some(docker.as_ref()?.join("buildx")));
        // docker/cli, `cli/command/cli.go`, resolveContextName.
        let context = match variable("DOCKER_HOST") {
            Some(_) => None,
            None => variable("DOCKER_CONTEXT").or_else(|| current_context(docker.as_deref()?)),
        };
        Client { docker, buildx, context: context.unwrap_or_else(|| DEFAULT.to_owned()) }
    }

    fn builder(&self, name: Option<String>) -> Builder {
        let kind = match &name {
            Some(name) if self.has_created(name) => BuilderKind::Created,
            Some(name) if *name == self.context => BuilderKind::Engine,
            Some(name) if self.has_context(name) => BuilderKind::OtherEngine,
            // It does not exist; Buildx reports that.
            Some(_) => BuilderKind::Created,
            None if self.chosen().iter().all(|name| name.is_empty() || *name == self.context) => {
                BuilderKind::Engine
            }
            None => BuilderKind::Created,
        };
        Builder { name, kind }
    }

    /// Whether `docker buildx create` has created a builder with this name.
    fn has_created(&self, name: &str) -> bool {
        self.buildx.as_ref().is_some_and(|folder| folder.join("instances").join(name).is_file())
    }

    /// Whether a docker context has this name (docker/cli, `cli/context/store`: a folder is named by the SHA-256 of the context's name).
    fn has_context(&self, name: &str) -> bool {
        let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        let file = |folder: &PathBuf| folder.join("contexts/meta").join(digest).join("meta.json").is_file();
        name == DEFAULT || self.docker.as_ref().is_some_and(file)
    }

    /// The builders selected with `docker buildx use`, for any engine (docker/buildx, `store/store.go`): in `current`, or with
    /// `--default` in one file per engine. An unreadable file counts as an unknown builder.
    fn chosen(&self) -> Vec<String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Current {
            name: String,
        }
        const UNKNOWN: &str = "?";
        let Some(folder) = &self.buildx else { return Vec::new() };
        let read = |path: &Path| files::read_if_there(path).map_err(drop);
        let current = read(&folder.join("current")).and_then(|text| match text {
            Some(text) => serde_json::from_str(&text).map(|current: Current| current.name).map_err(drop),
            None => Ok(String::new()),
        });
        let defaults = fs::read_dir(folder.join("defaults")).into_iter().flatten().flatten();
        let defaults = defaults.map(|entry| read(&entry.path()).map(Option::unwrap_or_default));
        let names = [current].into_iter().chain(defaults);
        names.map(|name| name.unwrap_or_else(|()| UNKNOWN.to_owned())).collect()
    }
}

/// The context that `docker context use` selected.
fn current_context(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        current_context: Option<String>,
    }
    let text = files::read_if_there(&folder.join("config.json")).ok()??;
    let config: Config = serde_json::from_str(&text).ok()?;
    config.current_context.filter(|name| !name.is_empty())
}

impl Docker {
    /// `docker buildx ARGS…` with the run's builder. All builds and all commands about the builder go through here.
    pub fn buildx<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        // Buildx rejects another context's builder unless docker gets `--context`.
        let docker = self.other_engine();
        let cmd = docker.as_ref().unwrap_or(self).cmd(["buildx"]);
        match self.builder.name() {
            Some(name) => cmd.arg("--builder").arg(name).args(args),
            None => cmd.args(args),
        }
    }

    /// The engine that builds and stores the results, if it is not this one.
    pub fn other_engine(&self) -> Option<Docker> {
        let name = self.builder.name.clone().filter(|_| self.builder.kind == BuilderKind::OtherEngine)?;
        Some(Docker { context: Some(name), builder: Builder::default(), watch: None, ..self.clone() })
    }

    /// The state of the builder. The inner error is Buildx's message.
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn builder_state(&self) -> Result<Result<BuilderState, String>, ProcessError> {
        let output = self.buildx(["inspect"]).capture()?;
        Ok(if output.success() { Ok(BuilderState::parse(&output.stdout)) } else { Err(output.stderr) })
    }

    /// Whether the builder can export its cache to a registry (Docker's manual, "Cache storage backends": the `docker` driver can "only
    /// if you have enabled the containerd image store"; the other drivers can).
    ///
    /// # Errors
    /// The builder does not exist, or its daemon does not answer.
    pub fn writes_registry_cache(&self) -> Result<bool, ProcessError> {
        let state = BuilderState::parse(&self.buildx(["inspect"]).read()?);
        let other = self.other_engine();
        Ok(!state.is_in_engine() || other.as_ref().unwrap_or(self).store()? == Store::Containerd)
    }

    /// The platforms that the builder can run programs for, natively or emulated.
    ///
    /// # Errors
    /// The builder does not exist, or its daemon does not answer.
    pub fn builder_platforms(&self) -> Result<Vec<Platform>, ProcessError> {
        Ok(BuilderState::parse(&self.buildx(["inspect"]).read()?).platforms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) {
        files::write_atomically(&folder.join(name), text.as_bytes()).unwrap();
    }

    #[test]
    fn a_name_means_a_created_builder_or_an_engine() {
        let folder = tempfile::tempdir().unwrap();
        let client = |context: &str| Client {
            docker: Some(folder.path().to_owned()),
            buildx: Some(folder.path().join("buildx")),
            context: context.to_owned(),
        };
        for name in ["buildx/instances", "contexts/meta"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        write(folder.path(), "buildx/instances/far", "{}");
        // The SHA-256 of "away".
        let away = "contexts/meta/378ce56a9d146d5174c89d1c0353d7f8e2244e89bb83935a5b1bdcf5e74b4e7f";
        fs::create_dir(folder.path().join(away)).unwrap();
        write(folder.path(), &format!("{away}/meta.json"), "{}");
        let kind = |context: &str, name: &str| client(context).builder(Some(name.to_owned())).kind();
        assert_eq!(kind("default", "default"), BuilderKind::Engine);
        assert_eq!(kind("default", "far"), BuilderKind::Created);
        assert_eq!(kind("default", "missing"), BuilderKind::Created);
        assert_eq!(kind("default", "away"), BuilderKind::OtherEngine);
        assert_eq!(kind("away", "away"), BuilderKind::Engine);
        assert_eq!(kind("away", "default"), BuilderKind::OtherEngine);
    }

    #[test]
    fn a_builder_that_was_chosen_is_not_taken_for_the_engines_own() {
        let folder = tempfile::tempdir().unwrap();
        let client =
            || Client { docker: None, buildx: Some(folder.path().to_owned()), context: DEFAULT.to_owned() };
        let is_own = || client().builder(None).is_engines_own();
        assert!(is_own(), "nothing was chosen");
        for (current, own) in [
            (r#"{"Key":"unix:///var/run/docker.sock","Name":"","Global":false}"#, true),
            (r#"{"Key":"default","Name":"default","Global":true}"#, true),
            (r#"{"Key":"unix:///var/run/docker.sock","Name":"far","Global":false}"#, false),
            ("{", false),
        ] {
            write(folder.path(), "current", current);
            assert_eq!(is_own(), own, "{current}");
        }
        write(folder.path(), "current", r#"{"Key":"x","Name":"","Global":false}"#);
        fs::create_dir(folder.path().join("defaults")).unwrap();
        write(folder.path(), "defaults/0123", "far");
        assert!(!is_own(), "`docker buildx use --default`");
    }

    #[test]
    fn the_current_context_is_read_from_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(current_context(folder.path()), None);
        write(folder.path(), "config.json", r#"{"auths":{},"currentContext":"far"}"#);
        assert_eq!(current_context(folder.path()).as_deref(), Some("far"));
    }
}
