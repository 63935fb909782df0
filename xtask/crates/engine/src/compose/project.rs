//! A Compose project, through `docker compose`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::compose::config::{ComposeConfig, ComposeService, with_dependencies};
use crate::compose::ps::ComposeContainer;
use crate::docker::Docker;
use crate::labels;
use host::interrupt::Interrupt;
use host::process::{Cmd, ProcessError, Runner};

/// A project: its files, its name, and values for variables in the files.
#[derive(Debug, Clone)]
pub struct Project {
    docker: Docker,
    folder: PathBuf,
    /// Replaces the name in the files.
    name: Option<String>,
    files: Vec<PathBuf>,
    /// The services to start, besides their dependencies; empty for all.
    only: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// How the resources of a project are listed and removed. Containers come first, since they use the others.
const KINDS: [(&[&str], &[&str]); 3] = [
    (&["ps", "--all"], &["rm", "--force", "--volumes"]),
    (&["network", "ls"], &["network", "rm"]),
    (&["volume", "ls"], &["volume", "rm", "--force"]),
];

/// How `docker compose up` ended.
#[derive(Debug, Clone)]
pub struct UpResult {
    /// Whether it succeeded.
    pub success: bool,
    /// Its output, secrets masked.
    pub output: String,
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
            variables: BTreeMap::new(),
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

    /// With a variable for its files. Values are never printed.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Project {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// `docker compose ARGS…` of this project.
    pub fn cmd<S: Into<String>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        let mut cmd =
            self.docker.cmd(["compose", "--project-directory"]).arg(self.folder.display().to_string());
        if let Some(name) = &self.name {
            cmd = cmd.arg("--project-name").arg(name);
        }
        for file in &self.files {
            cmd = cmd.arg("--file").arg(file.display().to_string());
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
        let text = self.cmd(["config", "--format", "json"]).read()?;
        serde_json::from_str(&text).context("unexpected output of `docker compose config`")
    }

    /// The services that it starts.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn services(&self) -> Result<BTreeMap<String, ComposeService>> {
        let mut services = self.config()?.services;
        if !self.only.is_empty() {
            let started = with_dependencies(&services, &self.only);
            services.retain(|name, _| started.contains(name));
        }
        Ok(services)
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

    /// `docker compose up`; ended early when `end` is set.
    ///
    /// # Errors
    /// When docker cannot be started. A failure is in the result.
    pub fn up(&self, end: &Interrupt) -> Result<UpResult, ProcessError> {
        let runner = Runner { interrupt: end.clone(), ..self.docker.runner.clone() };
        let stoppable = Project { docker: Docker::new(runner), ..self.clone() };
        let mut output = Vec::new();
        let cmd = stoppable.cmd(["--progress", "plain", "up", "--detach", "--no-build", "--remove-orphans"]);
        let status = cmd.args(self.only.iter().cloned()).stream(|chunk| output.extend_from_slice(chunk))?;
        let output = self.docker.runner.secrets.mask(&String::from_utf8_lossy(&output));
        Ok(UpResult { success: status.success(), output })
    }

    /// Its containers, running or not, sorted by service.
    ///
    /// # Errors
    /// When docker fails.
    pub fn containers(&self) -> Result<Vec<ComposeContainer>> {
        let text = self.cmd(["ps", "--all", "--format", "json"]).read()?;
        let mut found: Vec<ComposeContainer> = serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .context("unexpected output of `docker compose ps`")?;
        found.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(found)
    }

    /// The last lines of a service's log, secrets masked.
    ///
    /// # Errors
    /// When docker fails.
    pub fn last_lines(&self, service: &str, lines: u32) -> Result<String, ProcessError> {
        let lines = lines.to_string();
        let output =
            self.cmd(["logs", "--no-color", "--no-log-prefix", "--tail", &lines, service]).capture()?;
        Ok(self.docker.runner.secrets.mask(&(output.stdout + &output.stderr)))
    }

    /// `docker compose down`, with or without the named volumes.
    ///
    /// # Errors
    /// When docker fails.
    pub fn down(&self, volumes: bool) -> Result<String, ProcessError> {
        let more: &[&str] = if volumes { &["--volumes"] } else { &[] };
        self.cmd(["--progress", "plain", "down", "--remove-orphans"]).args(more.iter().copied()).read()
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
