//! The Compose project of the repository's own Compose files.

use anyhow::Result;

use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::context::Context;
use engine::docker::Docker;
use engine::variables::Variables;
use model::manifest::{Manifest, Secret};

/// The repository's project. Secrets that are not set get a placeholder, so that Compose can read its files; those that are
/// set are printed nowhere from now on.
pub fn project(variables: &Variables, manifest: &Manifest, context: &Context) -> Project {
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let names = secrets.clone().flat_map(|secret| [&secret.variable, &secret.plain]);
    names.filter_map(|name| variables.get(name)).for_each(|value| context.docker.runner.secrets.add(value));
    let unset = secrets.filter(|secret| variables.get(&secret.variable).is_none());
    with_placeholders(Project::new(&context.docker, context.repository.root()), unset)
}

/// Gives these secrets a placeholder: Compose reads its files only if every required variable is set.
pub fn with_placeholders<'a>(project: Project, secrets: impl Iterator<Item = &'a Secret>) -> Project {
    secrets.fold(project, |project, secret| project.variable(&secret.variable, "not-made-yet"))
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
    let (names, ids): (Vec<&str>, Vec<String>) =
        services.filter_map(|service| Some((service.name.as_str(), id(&service.compose)?))).unzip();
    Ok(names.into_iter().zip(docker.inspect_containers(&ids)?).collect())
}
