//! Throwaway stacks: of any edition and variant, beside whatever else runs, always removed.

pub mod confinement;
mod overrides;
pub mod run;
pub mod stack_tests;
pub mod whole;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::context::Context;
use super::manifest::RUN;
use super::probes;
use super::stack::{rise, secrets};
use crate::docker::Docker;
use crate::docker::compose::Project;
use crate::domain::edition::Edition;
use crate::domain::image_ref::{ImageRef, Tag};
use crate::domain::manifest::{Manifest, Service};
use crate::domain::probe::Known;
use crate::domain::variant::Variant;
use crate::system::files::{self, Lock};
use crate::system::ports;
use crate::system::terminal::Terminal;

/// The run's own word: in a stack of its own nothing else has it, and answers can be recorded.
const WORD: &str = "zephyria";

/// Between two looks at what a removal left, and how many there are.
const PAUSE: Duration = Duration::from_millis(200);
const TRIES: u32 = 20;

/// Which images a throwaway stack runs.
#[derive(Debug, Clone)]
pub struct Images {
    /// The edition.
    pub edition: Edition,
    /// The variant.
    pub variant: Variant,
    /// The tag, without edition and variant.
    pub tag: Tag,
}

impl Images {
    /// The image of a service.
    pub fn of(&self, service: &Service) -> String {
        ImageRef::of(&service.image, &self.tag, self.edition, self.variant).to_string()
    }
}

/// A stack of its own: project name, ports and secrets that nothing else has. It goes when this value does.
#[derive(Debug)]
pub struct Trial {
    project: Project,
    /// Plain secrets, and the run's own word.
    pub known: Known,
    folder: PathBuf,
    /// Tells the next run that this stack's owner is alive.
    lock: Option<Lock>,
    terminal: Terminal,
}

impl Trial {
    /// Raises the stack of these services, and what they depend on, until all are healthy.
    ///
    /// # Errors
    /// When an image is missing, or not all get healthy. Nothing stays behind.
    pub fn raise(
        manifest: &Manifest,
        services: &[&Service],
        images: &Images,
        deadline: Duration,
        context: &Context,
    ) -> Result<Trial> {
        sweep(context);
        let name = format!("{}-test-{}", manifest.project, probes::word());
        let folder = context.repository.trials().join(&name);
        files::create_dir(&folder)?;
        let lock = Lock::take(&folder.join("lock"))?;
        let overriding = folder.join("override.yml");
        let ports = ports::free(manifest.services.len()).context("a throwaway stack")?;
        files::write_atomically(&overriding, overrides::file(&manifest.services, images, &ports).as_bytes())?;
        let project = Project::new(&context.docker, context.repository.root())
            .named(&name)
            .files(vec![context.repository.compose_file(), overriding])
            .only(services.iter().map(|service| service.compose.clone()).collect());
        // From here on everything that is made goes with this value.
        let terminal = context.terminal.clone();
        let known = Known::from([(RUN.to_owned(), Value::from(WORD))]);
        let mut trial = Trial { project, known, folder, lock: Some(lock), terminal };
        trial.give_secrets(manifest, images, &context.docker)?;
        let quiet = context.terminal.clone().quiet();
        rise::rise(&trial.project, deadline, &context.docker.runner.interrupt, &quiet)?;
        Ok(trial)
    }

    /// The project, for asking it.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Compose reads no file without the secrets of all its services; those that are not started get words instead.
    fn give_secrets(&mut self, manifest: &Manifest, images: &Images, docker: &Docker) -> Result<()> {
        let all = manifest.services.iter().flat_map(|service| &service.secrets);
        let blind = all
            .fold(self.project.clone(), |project, secret| project.variable(&secret.variable, "not-made-yet"));
        let configured = blind.config()?;
        refuse_missing(manifest, &configured.keys().cloned().collect::<Vec<_>>(), images, docker)?;
        let started = |service: &&Service| configured.contains_key(&service.compose);
        let wanted: Vec<_> =
            manifest.services.iter().filter(started).flat_map(|service| &service.secrets).collect();
        let image_of = |name: &str| configured.get(name).map(|service| service.image.clone());
        let made = secrets::make_all(manifest, |secret| wanted.contains(&secret), &image_of, docker)?;
        let mut project = blind;
        for made in made {
            project = project.variable(made.variable, made.entry);
            self.known.insert(made.plain, Value::from(made.secret));
        }
        self.project = project;
        Ok(())
    }

    /// Removes containers, networks, volumes and what was kept about them.
    ///
    /// # Errors
    /// When docker fails; the next run tries again.
    pub fn remove(mut self) -> Result<()> {
        self.removed()
    }

    fn removed(&mut self) -> Result<()> {
        if self.lock.take().is_none() {
            return Ok(());
        }
        down(&self.project)?;
        fs::remove_dir_all(&self.folder).with_context(|| format!("cannot remove {}", self.folder.display()))
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Err(error) = self.removed() {
            self.terminal
                .error(format!("a throwaway stack stays behind, the next run removes it: {error:#}"));
        }
    }
}

/// Removes all of a project. A Compose that was interrupted may have asked the engine for something that comes into being only
/// after its removal: so it is looked again, until nothing came twice in a row.
fn down(project: &Project) -> Result<()> {
    let mut quiet = 0;
    for _ in 0..TRIES {
        project.down(true)?;
        quiet = if project.leaves_anything()? { 0 } else { quiet + 1 };
        if quiet == 2 {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    bail!("docker compose down left something of {} behind", project.name()?)
}

/// Images that are not here, all at once.
fn refuse_missing(manifest: &Manifest, started: &[String], images: &Images, docker: &Docker) -> Result<()> {
    let services = manifest.services.iter().filter(|service| started.contains(&service.compose));
    let wanted: Vec<(&Service, String)> = services.map(|service| (service, images.of(service))).collect();
    let references: Vec<String> = wanted.iter().map(|(_, reference)| reference.clone()).collect();
    let there = docker.inspect(&references)?;
    let missing: Vec<_> = wanted.iter().filter(|(_, reference)| !there.contains_key(reference)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(service, _)| service.name.as_str()).collect();
    let references: Vec<&str> = missing.iter().map(|(_, reference)| reference.as_str()).collect();
    bail!(
        "these images are not here: {}\n  build them: cargo xtask build-images {} --edition {} --variant {} --tag {}",
        references.join(", "),
        names.join(" "),
        images.edition,
        images.variant,
        images.tag
    )
}

/// Removes what runs left behind that were killed. What cannot be removed is tried again by the next run.
fn sweep(context: &Context) {
    let Ok(folders) = fs::read_dir(context.repository.trials()) else { return };
    for folder in folders.filter_map(|entry| Some(entry.ok()?.path())) {
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        // Its owner is alive where the lock is held.
        let Ok(_lock) = Lock::take(&folder.join("lock")) else { continue };
        let project = Project::new(&context.docker, &folder).named(name);
        match down(&project) {
            Ok(()) => drop(fs::remove_dir_all(&folder)),
            Err(error) => context.terminal.warn(format!("a former run's stack {name} stays: {error}")),
        }
    }
}
