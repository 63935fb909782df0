//! One throwaway stack, from its creation to its removal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::deploy::not_healthy::NotHealthy;
use crate::deploy::up::{ChangeKind, StackChange};
use crate::deploy::{secrets, with_placeholders};
use crate::probes::plan::unique_word;
use crate::throwaway::copies::{self, CopyOwner, MountCopies};
use crate::throwaway::folder::StackFolder;
use crate::throwaway::images::StackImages;
use crate::throwaway::overrides::{self, Overrides};
use crate::throwaway::removal;
use engine::compose::{ComposeConfig, MAIN_FILES, Project, default_files};
use engine::context::Context;
use engine::docker::Docker;
use engine::variables::Variables;
use host::failure::{Failure, FailureClass};
use host::interrupt::Interrupt;
use host::terminal::Terminal;
use host::{files, ports};
use model::manifest::{Manifest, Service, StackSource};
use model::placeholders::{RUN, Values};

/// The value of `${run}`. A new stack holds no other data, so a fixed word is unique in it and answers can be recorded.
const WORD: &str = "zephyria";

/// A stack with its own project name, ports and secrets. It is removed when this value is dropped.
#[derive(Debug)]
pub struct ThrowawayStack {
    project: Project,
    /// Values for probes: plain secrets and the run's own word.
    pub values: Values,
    /// By the service's name in the manifest: its port on loopback.
    pub ports: BTreeMap<String, u16>,
    /// Of the services it starts.
    configuration: ComposeConfig,
    /// Replace the host's files that services can write to.
    copies: MountCopies,
    /// The repository's own Compose files.
    files: Vec<PathBuf>,
    /// Additional variables, by the service's name in the Compose file.
    environments: BTreeMap<String, BTreeMap<String, String>>,
    /// Locked until everything is removed: tells other runs that this stack is in use.
    folder: StackFolder,
    is_removed: bool,
    /// Whether the tested service is a command that runs to its end.
    runs_once: bool,
    terminal: Terminal,
}

impl ThrowawayStack {
    /// Starts these services and their dependencies, and waits until all are healthy.
    ///
    /// # Errors
    /// When an image is missing, the Compose file shares something with other stacks, or a service does not become healthy.
    /// Nothing is left behind.
    pub fn start(
        manifest: &Manifest,
        services: &[&Service],
        images: &StackImages,
        deadline: Duration,
        context: &Context,
    ) -> Result<ThrowawayStack> {
        let mut stack = ThrowawayStack::prepare(manifest, services, images, context)?;
        let interrupt = &context.docker.runner.interrupt;
        match stack.up(deadline, interrupt) {
            // Another process took one of the ports after it was found free.
            Err(error) if error.downcast_ref().is_some_and(NotHealthy::port_is_taken) => {
                stack.isolate(manifest, images, context)?;
                stack.up(deadline, interrupt).map_err(NotHealthy::blame_port)?;
            }
            result => result?,
        }
        Ok(stack)
    }

    /// Creates everything the stack needs, without starting it.
    ///
    /// # Errors
    /// When an image is missing or the Compose file shares something with other stacks. Nothing is left behind.
    pub fn prepare(
        manifest: &Manifest,
        services: &[&Service],
        images: &StackImages,
        context: &Context,
    ) -> Result<ThrowawayStack> {
        removal::sweep(manifest, context);
        context.docker.runner.interrupt.check()?;
        let name = format!("{}{}", removal::prefix(manifest), unique_word());
        let folder = StackFolder::create(&name, &context.repository)?;
        let files = stack_files(manifest, &folder, context)?;
        let project = base_project(manifest, files.clone(), context)
            .named(&name)
            .only(services.iter().filter_map(|service| service.compose.clone()).collect());
        let configuration = project.started()?;
        // From here on, dropping the stack removes everything it has.
        let mut stack = ThrowawayStack {
            project,
            values: Values::from([(RUN.to_owned(), Value::from(WORD))]),
            ports: BTreeMap::new(),
            configuration,
            copies: MountCopies::default(),
            files,
            environments: BTreeMap::new(),
            folder,
            runs_once: services.iter().any(|service| service.runs_once),
            is_removed: false,
            terminal: context.terminal.clone(),
        };
        stack.copy_mounts(manifest, images, context)?;
        stack.isolate(manifest, images, context)?;
        stack.generate_secrets(manifest, &context.docker)?;
        Ok(stack)
    }

    /// Starts the stack and waits until all services are healthy; a command that runs to its end is only started.
    ///
    /// # Errors
    /// When a service does not become healthy.
    pub fn up(&self, deadline: Duration, interrupt: &Interrupt) -> Result<()> {
        if self.runs_once {
            let started = self.project.up_with("--detach");
            interrupt.check()?;
            return match started {
                Err(error) if !error.class.is_environment() => Err(NotHealthy::of_compose(error.tail).into()),
                started => Ok(started?),
            };
        }
        let terminal = self.terminal.clone().quiet();
        let change = StackChange {
            kind: ChangeKind::Up,
            project: &self.project,
            deadline,
            interrupt,
            terminal: &terminal,
            lock: None,
            again: "",
            help: "",
        };
        change.execute().map(drop)
    }

    /// Creates the containers without starting them; [`ThrowawayStack::up`] then starts them. Health checks stop once they pass, so
    /// that they do not disturb the trace.
    ///
    /// # Errors
    /// When the override file cannot be written, or Compose fails.
    pub fn create(&mut self, deadline: Duration) -> Result<()> {
        let checked = self
            .configuration
            .services
            .iter()
            .filter(|(_, service)| service.healthcheck.as_ref().is_none_or(|check| !check.disable));
        // The start interval applies until the check passes, if the start period is not over by then.
        let once = serde_json::json!({
            "healthcheck": { "start_period": format!("{}s", deadline.as_secs()), "interval": "24h" }
        });
        let services: BTreeMap<&String, &Value> = checked.map(|(name, _)| (name, &once)).collect();
        let text = serde_json::to_string(&BTreeMap::from([("services", services)]))?;
        let file = self.folder.path().join("health.yml");
        files::write_atomically(&file, text.as_bytes())?;
        let isolation = self.folder.path().join("override.yml");
        self.project = self.project.clone().files(self.own_files_and([isolation, file]));
        Ok(self.project.up_with("--no-start")?)
    }

    /// Its Compose project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Copies the host's files that services can write to. Fails first if the stack shares something with others or an image is
    /// missing.
    fn copy_mounts(&mut self, manifest: &Manifest, images: &StackImages, context: &Context) -> Result<()> {
        overrides::refuse_shared(&self.configuration)?;
        let started: Vec<String> = self.configuration.services.keys().cloned().collect();
        images.require(manifest, &started, &context.docker)?;
        let (name, labels) = (self.folder.name(), removal::owner_labels(manifest, &context.repository));
        let owner = CopyOwner { name: &name, folder: self.folder.path(), labels: &labels };
        let record = context.repository.deployed();
        self.copies = MountCopies::make(&self.configuration, &record, &owner, context)?;
        Ok(())
    }

    /// Writes the override file, with ports that are free now.
    fn isolate(&mut self, manifest: &Manifest, images: &StackImages, context: &Context) -> Result<()> {
        let record = self.folder.path().join("deployed");
        files::create_public_dir(&record)?;
        let overrides = Overrides {
            manifest,
            images,
            name: &self.folder.name(),
            labels: &removal::owner_labels(manifest, &context.repository),
            copies: &self.copies,
            deployed: (&context.repository.deployed(), &record),
        };
        let ports = ports::free(manifest.services.len()).context("a throwaway stack")?;
        let file = self.folder.path().join("override.yml");
        files::write_atomically(&file, overrides.file(&self.configuration, &ports).as_bytes())?;
        self.project = self.project.clone().files(self.own_files_and([file]));
        self.ports = manifest.services.iter().map(|service| service.name.clone()).zip(ports).collect();
        Ok(())
    }

    /// The repository's Compose files, then generated ones, which take precedence.
    fn own_files_and<const N: usize>(&self, generated: [PathBuf; N]) -> Vec<PathBuf> {
        self.files.iter().cloned().chain(generated).collect()
    }

    /// Sets environment variables of one service; call it before the stack is started.
    ///
    /// # Errors
    /// When the override file cannot be written.
    pub fn set_environment(
        &mut self,
        service: &Service,
        environment: &BTreeMap<String, String>,
    ) -> Result<()> {
        let name = service.compose.clone().unwrap_or_default();
        self.environments.insert(name, environment.clone());
        let services = self.environments.iter();
        let services: BTreeMap<_, _> =
            services.map(|(name, variables)| (name, BTreeMap::from([("environment", variables)]))).collect();
        // JSON is YAML.
        let text = serde_json::to_string(&BTreeMap::from([("services", services)]))?;
        let file = self.folder.path().join("environment.yml");
        files::write_atomically(&file, text.as_bytes())?;
        let isolation = self.folder.path().join("override.yml");
        self.project = self.project.clone().files(self.own_files_and([isolation, file]));
        Ok(())
    }

    fn generate_secrets(&mut self, manifest: &Manifest, docker: &Docker) -> Result<()> {
        let configured = self.project.started()?;
        // Asked of Compose, because a mount that was not replaced would write to the user's files.
        if let Some(path) = copies::writable(&configured, Path::new("")).first() {
            bail!("cannot start the stack: Compose did not replace the writable mount of {}", path.display());
        }
        let configured = configured.services;
        let started =
            manifest.services.iter().filter(|service| configured.keys().any(|name| service.is_compose(name)));
        let needed: Vec<_> = started.flat_map(|service| &service.secrets).collect();
        let image_of = |name: &str| configured.get(name).map(|service| service.image.clone());
        for secret in secrets::generate(manifest, |secret| needed.contains(&secret), &image_of, docker)? {
            self.project = self.project.clone().variable(secret.variable, secret.entry);
            self.values.insert(secret.plain, Value::from(secret.secret));
        }
        Ok(())
    }

    /// Removes containers, networks, volumes and the stack's folder.
    ///
    /// # Errors
    /// When docker fails, and again when the stack is dropped; the next run then removes the rest.
    pub fn remove(mut self) -> Result<()> {
        self.remove_once()
    }

    fn remove_once(&mut self) -> Result<()> {
        if !self.is_removed {
            removal::erase(&self.project)?;
            self.folder.remove()?;
            self.is_removed = true;
        }
        Ok(())
    }
}

impl Drop for ThrowawayStack {
    fn drop(&mut self) {
        if let Err(error) = self.remove_once() {
            self.terminal
                .error(format!("a throwaway stack was not removed (the next run tries again): {error:#}"));
        }
    }
}

/// The Compose files of a stack. `folder` gets a generated one.
fn stack_files(manifest: &Manifest, folder: &StackFolder, context: &Context) -> Result<Vec<PathBuf>> {
    match &manifest.stack {
        StackSource::Repository => compose_files(context),
        StackSource::File(file) => Ok(vec![file.clone()]),
        StackSource::Text(text) => {
            let file = folder.path().join("compose.yml");
            files::write_atomically(&file, text.as_bytes())?;
            Ok(vec![file])
        }
    }
}

/// The Compose files of the repository: those that Compose itself would use.
fn compose_files(context: &Context) -> Result<Vec<PathBuf>> {
    let files = default_files(&context.repository, &Variables::read(context)?);
    if files.is_empty() {
        let root = context.repository.root().display();
        let remedy = format!("add {}, or set COMPOSE_FILE", MAIN_FILES[0]);
        return Err(Failure::new(FailureClass::Failed, format!("no Compose file in {root}"), remedy).into());
    }
    Ok(files)
}

/// The repository's stack, with placeholders for all secrets: services that are not started keep them.
fn base_project(manifest: &Manifest, files: Vec<PathBuf>, context: &Context) -> Project {
    let project = Project::new(&context.docker, context.repository.root()).files(files);
    with_placeholders(project, manifest.services.iter().flat_map(|service| &service.secrets))
}

/// Each service with all its dependencies, by names in the manifest. Needs no engine.
///
/// # Errors
/// When Compose cannot read its file.
pub fn dependency_closures(
    manifest: &Manifest,
    context: &Context,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let closures = base_project(manifest, compose_files(context)?, context).closures()?;
    let of = |service: &Service| {
        let closure = service.compose.as_ref().and_then(|name| closures.get(name));
        let is_member = |other: &&Service| {
            closure.is_some_and(|all| other.compose.as_ref().is_some_and(|name| all.contains(name)))
        };
        let members = manifest.services.iter().filter(is_member);
        (service.name.clone(), members.map(|other| other.name.clone()).collect())
    };
    Ok(manifest.services.iter().map(of).collect())
}
