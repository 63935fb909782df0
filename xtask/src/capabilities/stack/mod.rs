//! The stack of all services: bringing it up healthy, and the secrets that it needs.

pub mod deployed;
pub mod health;
pub mod rise;
pub mod secrets;

use super::context::Context;
use super::variables::Variables;
use crate::docker::compose::Project;
use crate::domain::manifest::Manifest;

/// The project of the repository's own Compose files. Compose reads them only where every required variable is set; what is
/// started needs the real secrets, and nothing else does.
pub fn project(variables: &Variables, manifest: &Manifest, context: &Context) -> Project {
    let secrets = manifest.services.iter().flat_map(|service| &service.secrets);
    let unset = secrets.filter(|secret| variables.get(&secret.variable).is_none());
    let project = Project::new(&context.docker, context.repository.root());
    unset.fold(project, |project, secret| project.variable(&secret.variable, "not-made-yet"))
}
