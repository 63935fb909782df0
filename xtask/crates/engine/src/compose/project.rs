//! A Compose project, through `docker compose`.

use host::program::PROGRAM;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::compose::cluster::ClusterProject;
use crate::compose::config::{ComposeConfig, ComposeService, with_dependencies};
use crate::compose::ps::ComposeContainer;
use crate::docker::Docker;
use crate::labels;
use host::failure::{Failure, FailureClass};
use host::process::{Cmd, ProcessError, Started};

/// A project: its files, its name, and values for variables in the files.
#[derive(Debug, Clone)]
pub struct Project {
    docker: Docker,
    folder: PathBuf,
    /// Replaces the name in the files.
    name: Option<String>,
    files: Vec<PathBuf>,
    /// The services to start; empty for all.
    only: Vec<String>,
    /// Whether to leave out the dependencies of `only`.
    without_dependencies: bool,
    /// Whether to never pull images, regardless of the files.
    without_pull: bool,
    /// Replaces COMPOSE_PROFILES, unless empty.
    profiles: Vec<String>,
    variables: BTreeMap<String, String>,
    /// The `variables` whose value is [`PLACEHOLDER`].
    placeholders: BTreeSet<String>,
    /// Whether relative paths start at the first file's folder, as without `--project-directory`, instead of `folder`.
    own_directory: bool,
}

/// The value of unset variables. Must not reach a container.
pub(crate) const PLACEHOLDER: &str = "not-made-yet";

/// Maximum retries when a container vanishes while containers are listed.
const LOOKS: usize = 5;

/// How the resources of a project are listed and removed. Containers come first, since they use the others.
const KINDS: [(&[&str], &[&str]); 3] = [
    (&["ps", "--all"], &["rm", "--force", "--volumes"]),
    (&["network", "ls"], &["network", "rm"]),
    (&["volume", "ls"], &["volume", "rm", "--force"]),
];

/// The required variable that is not set, according to an error of Compose (compose-go, `template`).
pub(crate) fn required_variable(error: &str) -> Option<&str> {
    let (before, _) = error.split_once(" is missing a value")?;
    before.rsplit_once("required variable ").map(|(_, name)| name)
}

impl Project {
    /// The project of a folder's own Compose files.
    pub fn new(docker: &Docker, folder: impl Into<PathBuf>) -> Project {
        Project {
            docker: docker.clone(),
            folder: folder.into(),
            name: None,
            files: Vec::new(),
            only: Vec::new(),
            without_dependencies: false,
            without_pull: false,
            profiles: Vec::new(),
            variables: BTreeMap::new(),
            placeholders: BTreeSet::new(),
            own_directory: false,
        }
    }

    /// Under another name, beside other projects of the same files.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Project {
        self.name = Some(name.into());
        self
    }

    /// With these files instead of the folder's.
    #[must_use]
    pub fn files(mut self, files: Vec<PathBuf>) -> Project {
        self.files = files;
        self
    }

    /// Limited to these services and their dependencies.
    #[must_use]
    pub fn only(mut self, services: Vec<String>) -> Project {
        self.only = services;
        self
    }

    /// Without the dependencies of the services in [`Project::only`].
    #[must_use]
    pub fn without_dependencies(mut self) -> Project {
        self.without_dependencies = true;
        self
    }

    /// Without pulling images. By default, Compose pulls even those of services without replicas.
    #[must_use]
    pub fn without_pull(mut self) -> Project {
        self.without_pull = true;
        self
    }

    /// With the services of these profiles; `*` for all. If empty, COMPOSE_PROFILES applies.
    #[must_use]
    pub fn profiles(mut self, profiles: &[String]) -> Project {
        self.profiles = profiles.to_vec();
        self
    }

    /// With a variable for its files. Values are never printed.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Project {
        let name = name.into();
        self.placeholders.remove(&name);
        self.variables.insert(name, value.into());
        self
    }

    /// With a placeholder for an unset variable, since Compose fails if a required variable is unset.
    #[must_use]
    pub fn placeholder(mut self, name: impl Into<String>) -> Project {
        let name = name.into();
        self.variables.insert(name.clone(), PLACEHOLDER.to_owned());
        self.placeholders.insert(name);
        self
    }

    /// With relative paths that start at the first file's folder, as Compose takes them by default, instead of the project's folder.
    #[must_use]
    pub fn in_its_own_directory(mut self) -> Project {
        self.own_directory = true;
        self
    }

    /// The docker client it uses.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// `docker compose ARGS…` of this project.
    pub fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let mut cmd = self.docker.cmd(["compose"]);
        if !self.own_directory {
            cmd = cmd.arg("--project-directory").arg(self.folder.display().to_string());
        }
        if let Some(name) = &self.name {
            cmd = cmd.arg("--project-name").arg(name);
        }
        for file in &self.files {
            cmd = cmd.arg("--file").arg(file.display().to_string());
        }
        for profile in &self.profiles {
            cmd = cmd.arg("--profile").arg(profile);
        }
        for (name, value) in &self.variables {
            cmd = cmd.env(name, value);
        }
        cmd.dir(&self.folder).args(args)
    }

    /// Its configuration. Needs no engine.
    ///
    /// # Errors
    /// What Compose finds wrong with the files or missing in the environment.
    pub fn config(&self) -> Result<ComposeConfig> {
        Ok(self.config_of(&[])?.1)
    }

    /// Its configuration, with a placeholder for every required variable that is not set. Returns `None` if Compose is not installed.
    ///
    /// # Errors
    /// What Compose finds wrong with the files.
    pub fn readable_config(&self) -> Result<Option<ComposeConfig>> {
        let mut project = self.clone();
        loop {
            let error = match project.config() {
                Ok(config) => return Ok(Some(config)),
                Err(error) => error,
            };
            let text = error.to_string();
            match required_variable(&text).filter(|name| !project.variables.contains_key(*name)) {
                Some(name) => project = project.placeholder(name),
                None if self.docker.has_compose() => return Err(error),
                None => return Ok(None),
            }
        }
    }

    /// The configuration of the services it starts: those of active profiles, or those of [`Project::only`] and their
    /// dependencies.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn started(&self) -> Result<ComposeConfig> {
        Ok(self.started_text()?.1)
    }

    /// Like [`Project::started`], but checks for placeholders. Call it before starting anything.
    ///
    /// # Errors
    /// As [`Project::config`], and when a service uses a variable that is not set.
    pub fn ready(&self) -> Result<ComposeConfig> {
        let (text, config) = self.started_text()?;
        let all: Value = serde_json::from_str(&text)?;
        let gets_placeholder = |name: &&String| all["services"][*name].to_string().contains(PLACEHOLDER);
        let Some(service) = config.services.keys().find(gets_placeholder) else { return Ok(config) };
        let names: Vec<&str> = self.placeholders.iter().map(String::as_str).collect();
        let what = format!("{service} needs a variable that is not set: {}", names.join(" or "));
        let remedy = format!("set it in .env, or run `{PROGRAM} deploy install`");
        bail!(Failure::new(FailureClass::Failed, what, remedy))
    }

    fn started_text(&self) -> Result<(String, ComposeConfig)> {
        let (text, mut config) = self.config_of(&self.only)?;
        if self.without_dependencies && !self.only.is_empty() {
            config.services.retain(|name, _| self.only.contains(name));
        }
        Ok((text, config))
    }

    fn config_of(&self, services: &[String]) -> Result<(String, ComposeConfig)> {
        let text = self.cmd(["config", "--format", "json"]).args(services.iter().cloned()).read()?;
        let config = serde_json::from_str(&text).context("unexpected output of `docker compose config`")?;
        Ok((text, config))
    }

    /// The settings that clusters use, for the services of active profiles.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn for_cluster(&self) -> Result<ClusterProject> {
        ClusterProject::read(&self.cmd(["config", "--format", "json"]).read()?)
    }

    /// The services that it starts.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn services(&self) -> Result<BTreeMap<String, ComposeService>> {
        Ok(self.started()?.services)
    }

    /// Every service of its files with itself and all its dependencies.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn closures(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let services = self.config()?.services;
        let closure = |name: &String| with_dependencies(&services, std::slice::from_ref(name));
        Ok(services.keys().map(|name| (name.clone(), closure(name))).collect())
    }

    /// The project's name.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn name(&self) -> Result<String> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => Ok(self.config()?.name),
        }
    }

    /// Starts `docker compose up`. If given a lock, it holds the lock while it runs and outlives this process.
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn up(&self, lock: Option<File>) -> Result<Started, ProcessError> {
        let mut cmd = self.cmd(["--progress", "plain", "up", "--detach", "--no-build"]);
        if self.without_pull {
            cmd = cmd.args(["--pull", "never"]);
        }
        if self.only.is_empty() {
            cmd = cmd.arg("--remove-orphans");
        }
        if self.without_dependencies {
            cmd = cmd.arg("--no-deps");
        }
        cmd.args(self.only.iter().cloned()).start(lock)
    }

    /// Runs `docker compose up` to its end, with `--no-start` or `--detach`: creates the containers, or starts them without waiting.
    ///
    /// # Errors
    /// When Compose fails.
    pub fn up_with(&self, option: &str) -> Result<(), ProcessError> {
        let cmd = self.cmd(["--progress", "plain", "up", option, "--no-build"]);
        cmd.args(self.only.iter().cloned()).read().map(drop)
    }

    /// `docker compose stop`: SIGTERM, then SIGKILL to containers that do not stop in time.
    ///
    /// # Errors
    /// When Compose fails.
    pub fn stop(&self) -> Result<()> {
        Ok(self.cmd(["--progress", "plain", "stop"]).read().map(drop)?)
    }

    /// Starts `docker compose restart`; `lock` is used as in [`Project::up`].
    ///
    /// # Errors
    /// When docker cannot be started.
    pub fn restart(&self, lock: Option<File>) -> Result<Started, ProcessError> {
        let cmd = self.cmd(["--progress", "plain", "restart", "--no-deps"]);
        cmd.args(self.only.iter().cloned()).start(lock)
    }

    /// Its containers, running or not, sorted by service.
    ///
    /// # Errors
    /// When docker fails.
    pub fn containers(&self) -> Result<Vec<ComposeContainer>> {
        let list = || self.cmd(["ps", "--all", "--format", "json"]).read();
        // `docker compose ps` fails if a container vanishes while it runs.
        let vanished = |error: &ProcessError| error.tail.contains("No such container");
        let first = list();
        let text = (0..LOOKS).fold(first, |found, _| match found {
            Err(error) if vanished(&error) => list(),
            found => found,
        })?;
        let mut found: Vec<ComposeContainer> = serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .context("unexpected output of `docker compose ps`")?;
        found.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(found)
    }

    /// `docker compose down`, with or without the named volumes. Ignores Ctrl-C.
    ///
    /// # Errors
    /// When docker fails.
    pub fn down(&self, volumes: bool) -> Result<String, ProcessError> {
        let more: &[&str] = if volumes { &["--volumes"] } else { &[] };
        self.cmd(["--progress", "plain", "down", "--remove-orphans"])
            .args(more.iter().copied())
            .apart()
            .read()
    }

    /// Removes everything with the project's label: containers (also those that Compose did not start), networks and volumes.
    /// Needs no Compose file. Ctrl-C does not end it. False when there was nothing.
    ///
    /// # Errors
    /// When something cannot be removed; everything else is.
    pub fn erase(&self) -> Result<bool> {
        let filter = labels::filter(labels::COMPOSE_PROJECT, &self.name()?);
        let mut found = false;
        let mut failed = None;
        for (list, remove) in KINDS {
            let list = self.docker.cmd(list.iter().copied()).args(["--quiet", "--filter", &filter]);
            let text = list.apart().read()?;
            let names: Vec<&str> = text.lines().collect();
            if !names.is_empty() {
                found = true;
                let removed = self.docker.cmd(remove.iter().copied()).args(names).apart().read();
                failed = failed.or(removed.err());
            }
        }
        failed.map_or(Ok(found), |error| Err(error.into()))
    }
}

impl Docker {
    /// The projects that have something with this label and value, each with the value of `other`, another label.
    ///
    /// # Errors
    /// When docker fails.
    pub fn projects(
        &self,
        label: (&str, &str),
        other: &str,
    ) -> Result<BTreeMap<String, String>, ProcessError> {
        let format = format!("{{{{.Label \"{}\"}}}}\t{{{{.Label \"{other}\"}}}}", labels::COMPOSE_PROJECT);
        let filter = labels::filter(label.0, label.1);
        let mut found = BTreeMap::new();
        for (list, _) in KINDS {
            let list = self.cmd(list.iter().copied()).args(["--filter", &filter, "--format", &format]);
            let text = list.read()?;
            let pairs = text.lines().filter_map(|line| line.split_once('\t'));
            let labelled = pairs.filter(|(project, value)| !project.is_empty() && !value.is_empty());
            found.extend(labelled.map(|(project, value)| (project.to_owned(), value.to_owned())));
        }
        Ok(found)
    }
}
