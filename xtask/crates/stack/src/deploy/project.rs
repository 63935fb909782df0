//! The Compose project of the repository's own Compose files.

use std::time::Duration;

use anyhow::Result;

use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::context::Context;
use engine::docker::Docker;
use engine::variables::Variables;
use host::failure::{FailureClass, class_of};
use host::files::Lock;
use host::wait;
use model::manifest::{Manifest, Secret};

const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// The repository's project. Unset secrets get a placeholder, because Compose reads its files only if every required variable
/// is set. All other secrets are masked in output from now on. An empty environment variable would override the value in
/// `.env`, so that value is passed to Compose explicitly.
pub fn project(variables: &Variables, manifest: &Manifest, context: &Context) -> Project {
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let names = secrets.clone().flat_map(|secret| [&secret.variable, &secret.plain]);
    names.filter_map(|name| variables.get(name)).for_each(|value| context.docker.runner.secrets.add(value));
    let project = Project::new(&context.docker, context.repository.root());
    secrets.fold(project, |project, secret| match variables.get(&secret.variable) {
        Some(value) if variables.is_emptied(&secret.variable) => project.variable(&secret.variable, value),
        Some(_) => project,
        None => project.placeholder(&secret.variable),
    })
}

/// Gives these secrets a placeholder: Compose reads its files only if every required variable is set.
pub fn with_placeholders<'a>(project: Project, secrets: impl Iterator<Item = &'a Secret>) -> Project {
    secrets.fold(project, |project, secret| project.placeholder(&secret.variable))
}

/// Acquires this checkout's deployment lock. Waits at most `timeout` for other deployments and for Compose processes
/// that they left running.
///
/// # Errors
/// When the lock is still held after `timeout` or cannot be opened, or the user interrupts.
pub fn lock(timeout: Duration, context: &Context) -> Result<Lock> {
    let path = context.repository.deploy_lock();
    let mut is_told = false;
    let found =
        wait::poll(LOCK_INTERVAL, timeout, &context.docker.runner.interrupt, || match Lock::take(&path) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if class_of(&error) == FailureClass::Machine => {
                if !std::mem::replace(&mut is_told, true) {
                    context.terminal.warn("waiting for another deployment of this checkout to finish");
                }
                Ok(None)
            }
            Err(error) => Err(error),
        })?;
    found.map_or_else(|| Lock::take(&path), Ok)
}

/// The containers of all services that have one, with the services' names in the manifest.
///
/// # Errors
/// When docker cannot be asked.
pub fn containers<'m>(
    project: &Project,
    manifest: &'m Manifest,
    docker: &Docker,
) -> Result<Vec<(&'m str, ContainerInspect)>> {
    let containers = project.containers()?;
    let id = |compose: &str| {
        containers.iter().find(|container| container.service == compose).map(|container| container.id.clone())
    };
    let services = manifest.services.iter();
    let own: Vec<(&str, String)> = services
        .filter_map(|service| Some((service.name.as_str(), id(service.compose.as_deref()?)?)))
        .collect();
    let ids = own.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>();
    let mut found = docker.inspect_containers(&ids)?;
    let mut take =
        |id: &str| Some(found.swap_remove(found.iter().position(|found| found.id.starts_with(id))?));
    Ok(own.into_iter().filter_map(|(name, id)| Some((name, take(&id)?))).collect())
}
