//! Throwaway stacks: of any edition and variant, beside whatever else runs, always removed.

pub mod confinement;
pub mod folder;
pub mod overrides;
pub mod removal;
pub mod run;
pub mod stack_tests;
pub mod whole;

pub use crate::throwaway::removal::sweep;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::deploy::secrets;
use crate::deploy::up;
use crate::deploy::up::NotHealthy;
use crate::probes;
use crate::throwaway::folder::Folder;
use crate::throwaway::overrides::Overrides;
use engine::compose::{ComposeConfig, Project};
use engine::context::Context;
use engine::docker::Docker;
use host::files;
use host::interrupt::Interrupt;
use host::ports;
use host::terminal::Terminal;
use model::edition::Edition;
use model::image_ref::{ImageRef, Tag};
use model::manifest::{Manifest, Service};
use model::probe::Known;
use model::reader::RUN;
use model::variant::Variant;

/// The run's own word: in a stack of its own nothing else has it, and answers can be recorded.
const WORD: &str = "zephyria";

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
    /// By the manifest's name of a service: the port of loopback's that it is published at, once it runs.
    pub ports: BTreeMap<String, u16>,
    configuration: ComposeConfig,
    /// Tells the next run that this stack's owner is alive, until all of it is gone.
    folder: Folder,
    is_gone: bool,
    terminal: Terminal,
}

impl Trial {
    /// Raises the stack of these services, and what they depend on, until all are healthy.
    ///
    /// # Errors
    /// When an image is missing, the Compose file reaches beyond its stack, or not all get healthy. Nothing stays behind.
    pub fn raise(
        manifest: &Manifest,
        services: &[&Service],
        images: &Images,
        deadline: Duration,
        context: &Context,
    ) -> Result<Trial> {
        let mut trial = Trial::prepare(manifest, services, images, context)?;
        let interrupt = &context.docker.runner.interrupt;
        match trial.rise(deadline, interrupt) {
            // Somebody took one of the ports after it had been looked at.
            Err(error) if error.downcast_ref().is_some_and(NotHealthy::port_is_taken) => {
                trial.publish(manifest, images, context)?;
                trial.rise(deadline, interrupt)?;
            }
            risen => risen?,
        }
        Ok(trial)
    }

    /// Makes all that the stack needs, and starts nothing.
    ///
    /// # Errors
    /// When an image is missing or the Compose file reaches beyond its stack. Nothing stays behind.
    pub fn prepare(
        manifest: &Manifest,
        services: &[&Service],
        images: &Images,
        context: &Context,
    ) -> Result<Trial> {
        removal::sweep(manifest, context);
        context.docker.runner.interrupt.check()?;
        let name = format!("{}{}", removal::prefix(manifest), probes::word());
        let folder = Folder::make(&name, &context.repository)?;
        let project = readable(manifest, context)
            .named(&name)
            .only(services.iter().map(|service| service.compose.clone()).collect());
        let configuration = project.config()?;
        let mut trial = Trial {
            project,
            known: Known::from([(RUN.to_owned(), Value::from(WORD))]),
            ports: BTreeMap::new(),
            configuration,
            folder,
            is_gone: false,
            terminal: context.terminal.clone(),
        };
        // From here on everything that is made goes with this value.
        trial.publish(manifest, images, context)?;
        trial.give_secrets(manifest, images, &context.docker)?;
        Ok(trial)
    }

    /// Starts it, and waits until all are healthy.
    ///
    /// # Errors
    /// When not all get healthy.
    pub fn rise(&self, deadline: Duration, interrupt: &Interrupt) -> Result<()> {
        up::rise(&self.project, deadline, interrupt, &self.terminal.clone().quiet()).map(drop)
    }

    /// The project, for asking it.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Writes how it is kept apart from all others, with ports that are free now.
    fn publish(&mut self, manifest: &Manifest, images: &Images, context: &Context) -> Result<()> {
        let record = self.folder.path().join("deployed");
        files::create_public_dir(&record)?;
        let name = self.folder.name();
        let deployed = (context.repository.deployed(), record);
        let overrides = Overrides {
            manifest,
            images,
            name: &name,
            marks: removal::marks(manifest, &context.repository),
            deployed: (&deployed.0, &deployed.1),
        };
        let ports = ports::free(manifest.services.len()).context("a throwaway stack")?;
        let overriding = self.folder.path().join("override.yml");
        files::write_atomically(&overriding, overrides.file(&self.configuration, &ports)?.as_bytes())?;
        self.project = self.project.clone().files(vec![context.repository.compose_file(), overriding]);
        self.ports = manifest.services.iter().map(|service| service.name.clone()).zip(ports).collect();
        Ok(())
    }

    fn give_secrets(&mut self, manifest: &Manifest, images: &Images, docker: &Docker) -> Result<()> {
        let configured = self.project.services()?;
        refuse_missing(manifest, &configured.keys().cloned().collect::<Vec<_>>(), images, docker)?;
        let started = |service: &&Service| configured.contains_key(&service.compose);
        let wanted: Vec<_> =
            manifest.services.iter().filter(started).flat_map(|service| &service.secrets).collect();
        let image_of = |name: &str| configured.get(name).map(|service| service.image.clone());
        let made = secrets::make_all(manifest, |secret| wanted.contains(&secret), &image_of, docker)?;
        let mut project = self.project.clone();
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
    /// When docker fails, also a second time; the next run tries again.
    pub fn remove(mut self) -> Result<()> {
        self.removed()
    }

    fn removed(&mut self) -> Result<()> {
        if !self.is_gone {
            removal::erase(&self.project)?;
            self.folder.remove()?;
            self.is_gone = true;
        }
        Ok(())
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

/// The repository's stack. Compose reads no file without the secrets of all its services; those that are not started keep these
/// words.
fn readable(manifest: &Manifest, context: &Context) -> Project {
    let project = Project::new(&context.docker, context.repository.root());
    let project = project.files(vec![context.repository.compose_file()]);
    let all = manifest.services.iter().flat_map(|service| &service.secrets);
    all.fold(project, |project, secret| project.variable(&secret.variable, "not-made-yet"))
}

/// Every service with all that a stack of it starts, by the manifest's names. Asks no engine.
///
/// # Errors
/// When Compose cannot read its file.
pub fn parts(manifest: &Manifest, context: &Context) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let closures = readable(manifest, context).closures()?;
    let of = |service: &Service| {
        let closure = closures.get(&service.compose);
        let names =
            manifest.services.iter().filter(|other| closure.is_some_and(|all| all.contains(&other.compose)));
        (service.name.clone(), names.map(|other| other.name.clone()).collect())
    };
    Ok(manifest.services.iter().map(of).collect())
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
