//! Docker Compose: one project, asked and told through `docker compose`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::docker::Docker;
use crate::labels;
use host::interrupt::Interrupt;
use host::process::{Cmd, ProcessError, Runner};

/// A project: files, a name, and what its files' variables are to be.
#[derive(Debug, Clone)]
pub struct Project {
    docker: Docker,
    folder: PathBuf,
    /// Instead of the name that the files give.
    name: Option<String>,
    files: Vec<PathBuf>,
    /// What is started, dependencies beside it; empty for every service.
    only: Vec<String>,
    variables: BTreeMap<String, String>,
}

/// Kinds of things that belong to a project: how they are listed, and how they are removed. Containers first, since they hold
/// the others.
const KINDS: [(&[&str], &[&str]); 3] = [
    (&["ps", "--all"], &["rm", "--force", "--volumes"]),
    (&["network", "ls"], &["network", "rm"]),
    (&["volume", "ls"], &["volume", "rm", "--force"]),
];

/// One container of a project, as `docker compose ps` tells.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// The service's name in the Compose file.
    pub service: String,
    /// Its ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// `running`, `exited`, `created`…
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; empty without a health check.
    #[serde(default)]
    pub health: String,
    /// The image's reference.
    #[serde(default)]
    pub image: String,
    /// Meaningful once it has ended.
    #[serde(default)]
    pub exit_code: i32,
    /// Ports that stand open on the host.
    #[serde(default)]
    pub publishers: Option<Vec<Publisher>>,
}

/// A port of a container that stands open on the host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Publisher {
    /// The address that it is bound to; empty or a wildcard for all.
    #[serde(rename = "URL", default)]
    pub url: String,
    /// The port within the container.
    #[serde(default)]
    pub target_port: u16,
    /// The port on the host; 0 where it is exposed only.
    #[serde(default)]
    pub published_port: u16,
    /// `tcp`, `udp` or `sctp`.
    #[serde(default)]
    pub protocol: String,
}

impl Container {
    /// Host and port at which a TCP port of the container is reached from this machine.
    pub fn published(&self, port: u16) -> Option<String> {
        let mut publishers = self.publishers.iter().flatten().filter(|found| found.protocol == "tcp");
        let found = publishers.find(|found| found.target_port == port && found.published_port != 0)?;
        let host = match found.url.as_str() {
            "" | "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
            address if address.contains(':') => format!("[{address}]"),
            address => address.to_owned(),
        };
        Some(format!("{host}:{}", found.published_port))
    }
}

/// What Compose makes of a service, all variables filled in.
#[derive(Debug, Clone, Deserialize)]
pub struct Configured {
    /// The image's reference.
    #[serde(default)]
    pub image: String,
    /// What must be there before it.
    #[serde(default)]
    depends_on: BTreeMap<String, IgnoredAny>,
}

/// How `docker compose up` ended.
#[derive(Debug, Clone)]
pub struct Risen {
    /// Whether it did all it was told.
    pub done: bool,
    /// What it said.
    pub said: String,
}

#[derive(Deserialize)]
struct Config {
    name: String,
    services: BTreeMap<String, Configured>,
}

/// Services with all that they depend on, directly or not.
fn with_dependencies(services: &BTreeMap<String, Configured>, names: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = names.iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            open.extend(services.get(name).into_iter().flat_map(|service| service.depends_on.keys()));
        }
    }
    found
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

    /// Under another name, so that it stands beside others of the same files.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Project {
        self.name = Some(name.into());
        self
    }

    /// With these files instead of the folder's own.
    #[must_use]
    pub fn files(mut self, files: Vec<PathBuf>) -> Project {
        self.files = files;
        self
    }

    /// Of which only these services, and what they depend on, are started and asked for.
    #[must_use]
    pub fn only(mut self, services: Vec<String>) -> Project {
        self.only = services;
        self
    }

    /// With a variable that its files may use. Values are never printed.
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

    /// Its services with variables filled in. Asks no engine.
    ///
    /// # Errors
    /// What Compose says is wrong with the files or missing in the environment.
    pub fn config(&self) -> Result<BTreeMap<String, Configured>> {
        let mut services = self.read_config::<Config>()?.services;
        if !self.only.is_empty() {
            let wanted = with_dependencies(&services, &self.only);
            services.retain(|name, _| wanted.contains(name));
        }
        Ok(services)
    }

    /// Every service of its files with all that it depends on, itself included.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn closures(&self) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let services = self.read_config::<Config>()?.services;
        let closure = |name: &String| with_dependencies(&services, std::slice::from_ref(name));
        Ok(services.keys().map(|name| (name.clone(), closure(name))).collect())
    }

    /// The name that Compose knows it by.
    ///
    /// # Errors
    /// As [`Project::config`].
    pub fn name(&self) -> Result<String> {
        match &self.name {
            Some(name) => Ok(name.clone()),
            None => Ok(self.read_config::<Config>()?.name),
        }
    }

    /// Its files as Compose makes them out, read into a form of one's own.
    pub(crate) fn read_config<C: DeserializeOwned>(&self) -> Result<C> {
        let text = self.cmd(["config", "--format", "json"]).read()?;
        serde_json::from_str(&text).context("`docker compose config` gave no JSON")
    }

    /// Creates what is missing, replaces what changed and starts all, dependencies first. Ended early when `end` is set.
    ///
    /// # Errors
    /// When docker cannot be started. A service that does not come up is in the outcome.
    pub fn up(&self, end: &Interrupt) -> Result<Risen, ProcessError> {
        let runner = Runner { interrupt: end.clone(), ..self.docker.runner.clone() };
        let stoppable = Project { docker: Docker::new(runner), ..self.clone() };
        let mut said = Vec::new();
        let cmd = stoppable.cmd(["--progress", "plain", "up", "--detach", "--no-build", "--remove-orphans"]);
        let status = cmd.args(self.only.iter().cloned()).stream(|chunk| said.extend_from_slice(chunk))?;
        Ok(Risen { done: status.success(), said: String::from_utf8_lossy(&said).into_owned() })
    }

    /// Its containers, those that ended included, in the order of services.
    ///
    /// # Errors
    /// When docker fails or answers in another form.
    pub fn containers(&self) -> Result<Vec<Container>> {
        let text = self.cmd(["ps", "--all", "--format", "json"]).read()?;
        let mut found: Vec<Container> = serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .context("`docker compose ps` gave no JSON")?;
        found.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(found)
    }

    /// The last lines of a service's log.
    ///
    /// # Errors
    /// When docker fails.
    pub fn last_lines(&self, service: &str, lines: u32) -> Result<String, ProcessError> {
        let lines = lines.to_string();
        let output =
            self.cmd(["logs", "--no-color", "--no-log-prefix", "--tail", &lines, service]).capture()?;
        Ok(output.stdout + &output.stderr)
    }

    /// Stops and removes containers and networks, and the named volumes too where that is said.
    ///
    /// # Errors
    /// When docker fails.
    pub fn down(&self, volumes: bool) -> Result<String, ProcessError> {
        let more: &[&str] = if volumes { &["--volumes"] } else { &[] };
        self.cmd(["--progress", "plain", "down", "--remove-orphans"]).args(more.iter().copied()).read()
    }

    /// Removes at once whatever carries the project's name: containers (others than Compose's too), networks, volumes with
    /// all that is in them. It needs no file, and no Ctrl-C ends it. False when there was nothing.
    ///
    /// # Errors
    /// What could not be removed, when all else is.
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
    /// Projects of which anything carries a label with this value, with what another label of it says.
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
            let known = pairs.filter(|(project, said)| !project.is_empty() && !said.is_empty());
            found.extend(known.map(|(project, said)| (project.to_owned(), said.to_owned())));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_depends_on_comes_with_it_even_in_a_circle() {
        let text = r#"{"name":"p","services":{
            "door":{"image":"d","depends_on":{"brain":{"condition":"service_started"}}},
            "brain":{"image":"b","depends_on":{"store":{"condition":"service_healthy"}}},
            "store":{"image":"s","depends_on":{"brain":{"condition":"service_started"}}},
            "page":{"image":"p"}}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let found = |name: &str| {
            let found = with_dependencies(&config.services, &[name.to_owned()]);
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!((found("door").as_str(), found("page").as_str()), ("brain door store", "page"));
    }

    #[test]
    fn a_published_port_is_reached_from_this_machine() {
        let text = r#"{"Service":"a","ID":"1","State":"running","Publishers":[
            {"URL":"","TargetPort":90,"PublishedPort":0,"Protocol":"tcp"},
            {"URL":"","TargetPort":80,"PublishedPort":2999,"Protocol":"udp"},
            {"URL":"0.0.0.0","TargetPort":80,"PublishedPort":3000,"Protocol":"tcp"},
            {"URL":"::1","TargetPort":81,"PublishedPort":3001,"Protocol":"tcp"}]}"#;
        let container: Container = serde_json::from_str(text).unwrap();
        assert_eq!(container.published(80).as_deref(), Some("127.0.0.1:3000"));
        assert_eq!(container.published(81).as_deref(), Some("[::1]:3001"));
        assert_eq!(container.published(90), None);
    }
}
