//! The stack of all services: bringing it up healthy, and the secrets that it needs.

pub mod deployed;
pub mod health;
pub mod secrets;
pub mod up;

use anyhow::Result;

use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::context::Context;
use engine::docker::Docker;
use engine::variables::Variables;
use model::manifest::Manifest;

/// The project of the repository's own Compose files. Compose reads them only where every required variable is set; what is
/// started needs the real secrets, and nothing else does.
pub fn project(variables: &Variables, manifest: &Manifest, context: &Context) -> Project {
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let unset = secrets.filter(|secret| variables.get(&secret.variable).is_none());
    let project = Project::new(&context.docker, context.repository.root());
    unset.fold(project, |project, secret| project.variable(&secret.variable, "not-made-yet"))
}

/// The container of each service that has one, by the manifest's names.
///
/// # Errors
/// When docker cannot be asked.
pub fn containers<'m>(
    project: &Project,
    manifest: &'m Manifest,
    docker: &Docker,
) -> Result<Vec<(&'m str, ContainerInspect)>> {
    let containers = project.containers()?;
    let found: Vec<(&str, String)> = manifest
        .services
        .iter()
        .filter_map(|service| {
            let container = containers.iter().find(|container| container.service == service.compose)?;
            Some((service.name.as_str(), container.id.clone()))
        })
        .collect();
    let ids: Vec<String> = found.iter().map(|(_, id)| id.clone()).collect();
    let inspected = docker.inspect_containers(&ids)?;
    Ok(found.into_iter().map(|(name, _)| name).zip(inspected).collect())
}
