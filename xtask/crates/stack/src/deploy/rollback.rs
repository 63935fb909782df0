//! Keeps the images that ran before a deployment. Each gets the local tag `PROJECT-rollback:SERVICE` (the service's name in the
//! Compose file), which protects it from rebuilds and prunes.
//!
//! A rollback first saves the running image under a second tag, `PROJECT-rollback:SERVICE.unfinished`. Once the service runs the
//! kept image, the saved image becomes the kept one, and another rollback would undo this one. A rollback is unfinished while its
//! second tag exists.

use host::program::PROGRAM;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::deploy::condition::ServiceCondition;
use crate::deploy::healthy::HealthyImages;
use engine::compose::{ComposeConfig, lifetime};
use engine::containers::ContainerInspect;
use engine::docker::Docker;
use engine::images::Image;
use engine::labels;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;

/// The IDs of one service's images.
#[derive(Debug, Default)]
struct ServiceImages {
    /// The images of its containers, those of fine containers first.
    running: Vec<String>,
    /// Whether the first image in `running` is healthy now or was at the service's last deployment.
    is_fine: bool,
    /// The image in the Compose file, if the engine has it.
    configured: Option<String>,
    kept: Option<String>,
    /// The image that ran when an unfinished rollback began.
    left: Option<String>,
}

/// The rollback of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackStep {
    /// The service's name in the Compose file.
    pub service: String,
    /// The ID of the image to run.
    pub to: String,
    /// The ID of the image that ran when the rollback began; `None` if none did.
    pub from: Option<String>,
}

/// A Compose project's name may hold `_` where a repository's may not, such as before `-` (distribution, "reference").
fn repository(project: &str) -> String {
    format!("{}-rollback", project.replace('_', "-"))
}

fn kept_tag(project: &str, service: &str) -> String {
    format!("{}:{service}", repository(project))
}

fn left_tag(project: &str, service: &str) -> String {
    format!("{}:{service}.unfinished", repository(project))
}

/// Keeps each service's running image if the Compose file replaces it. An image that was never healthy does not replace a kept one.
/// Abandons an unfinished rollback. Returns the services whose images were kept.
///
/// # Errors
/// When docker fails.
pub fn keep(config: &ComposeConfig, docker: &Docker, repository: &Repository) -> Result<Vec<String>> {
    let mut all = look(config, docker)?;
    let healthy = HealthyImages::read(repository);
    for (service, images) in &mut all {
        let first = images.running.first();
        images.is_fine |= first.is_some_and(|image| healthy.has(&config.name, service, image));
    }
    turn_around(&config.name, &mut all, docker)?;
    let mut kept = Vec::new();
    for (service, images) in all {
        if let Some(image) = to_keep(&images) {
            docker.tag(image, &kept_tag(&config.name, &service))?;
            kept.push(service.clone());
        }
        if images.left.is_some() {
            docker.remove(&[left_tag(&config.name, &service)])?;
        }
    }
    Ok(kept)
}

fn to_keep(images: &ServiceImages) -> Option<&String> {
    let image = images.running.iter().find(|image| Some(*image) != images.configured.as_ref())?;
    let is_better = images.is_fine || images.kept.is_none();
    (is_better && images.kept.as_ref() != Some(image)).then_some(image)
}

/// Records the images of the services that are healthy now, for the next [`keep`].
///
/// # Errors
/// When docker fails or the record cannot be written.
pub fn record_healthy(config: &ComposeConfig, docker: &Docker, repository: &Repository) -> Result<()> {
    let fine = look(config, docker)?.into_iter().filter(|(_, images)| images.is_fine);
    let images = fine.filter_map(|(service, images)| Some((service, images.running.into_iter().next()?)));
    HealthyImages::read(repository).with(&config.name, images).write(repository)
}

/// Plans the rollback of these services: continues an unfinished rollback, or else returns to the kept images. `is_named`:
/// whether the user named the services.
///
/// # Errors
/// When no service can be rolled back, a named service cannot, or docker fails.
pub fn plan(config: &ComposeConfig, is_named: bool, docker: &Docker) -> Result<Vec<RollbackStep>> {
    let images = look(config, docker)?;
    let steps = steps(&images);
    let missing = images.keys().filter(|name| !steps.iter().any(|step| step.service == **name));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if steps.is_empty() || is_named && !missing.is_empty() {
        let what = format!("no previous image to roll back to: {}", missing.join(", "));
        let help = format!(
            "`deploy update` saves an image when it replaces it; to run another version: \
             `{PROGRAM} deploy update --tag TAG`"
        );
        return Err(Failure::new(FailureClass::Failed, what, help).into());
    }
    Ok(steps)
}

fn steps(images: &BTreeMap<String, ServiceImages>) -> Vec<RollbackStep> {
    let is_unfinished = images.values().any(|images| images.left.is_some());
    let step = |(service, images): (&String, &ServiceImages)| {
        let to = images.kept.clone()?;
        let from = if is_unfinished {
            Some(images.left.clone()?)
        } else {
            images.running.iter().find(|image| **image != to).cloned()
        };
        let is_there = from.is_none() && !images.running.is_empty();
        (!is_there).then(|| RollbackStep { service: service.clone(), to, from })
    };
    images.iter().filter_map(step).collect()
}

/// Saves the running images and writes the Compose file that selects the kept ones.
///
/// # Errors
/// When docker fails or the file cannot be written.
pub fn begin(project: &str, steps: &[RollbackStep], docker: &Docker, repository: &Repository) -> Result<()> {
    for step in steps {
        if let Some(from) = &step.from {
            docker.tag(from, &left_tag(project, &step.service))?;
        }
    }
    let service =
        |step: &RollbackStep| (step.service.clone(), json!({ "image": step.to, "pull_policy": "never" }));
    let services: serde_json::Map<String, serde_json::Value> = steps.iter().map(service).collect();
    let text = serde_json::to_vec(&json!({ "services": services })).context("cannot encode the rollback")?;
    files::write_atomically(&repository.rollback_file(), &text)
}

/// For each service that now runs only the kept image, keeps the image that ran when the rollback began instead.
///
/// # Errors
/// When docker fails.
pub fn settle(config: &ComposeConfig, docker: &Docker) -> Result<()> {
    turn_around(&config.name, &mut look(config, docker)?, docker)
}

fn turn_around(project: &str, all: &mut BTreeMap<String, ServiceImages>, docker: &Docker) -> Result<()> {
    for (service, images) in all {
        let has_returned = images.running.iter().all(|image| Some(image) == images.kept.as_ref());
        if let (true, false, Some(left)) = (has_returned, images.running.is_empty(), &images.left) {
            docker.tag(left, &kept_tag(project, service))?;
            docker.remove(&[left_tag(project, service)])?;
            images.kept = images.left.take();
        }
    }
    Ok(())
}

fn look(config: &ComposeConfig, docker: &Docker) -> Result<BTreeMap<String, ServiceImages>> {
    let (project, now) = (&config.name, docker.now()?);
    let containers = docker.project_containers(project)?;
    let references = config.services.iter().flat_map(|(name, service)| {
        [service.image.clone(), kept_tag(project, name), left_tag(project, name)]
    });
    let found = docker.inspect(&references.filter(|name| !name.is_empty()).collect::<Vec<_>>())?;
    let id = |reference: &str| found.get(reference).map(|image: &Image| image.id.clone());
    let one = |name: &String| {
        let lifetime = lifetime(&config.services, name);
        let is_own = |found: &&ContainerInspect| {
            found.label(labels::COMPOSE_SERVICE) == name && found.state.status != "removing"
        };
        let mut own: Vec<(bool, &String)> = containers
            .iter()
            .filter(is_own)
            .map(|found| (!ServiceCondition::of(found, lifetime, now).is_fine(), &found.image))
            .collect();
        own.sort();
        ServiceImages {
            is_fine: own.first().is_some_and(|(is_ill, _)| !is_ill),
            running: own.into_iter().map(|(_, image)| image.clone()).collect(),
            configured: id(&config.services[name].image),
            kept: id(&kept_tag(project, name)),
            left: id(&left_tag(project, name)),
        }
    };
    Ok(config.services.keys().map(|name| (name.clone(), one(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(running: &[&str], configured: &str, kept: &str, left: &str) -> ServiceImages {
        let id = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        ServiceImages {
            running: running.iter().map(|text| (*text).to_owned()).collect(),
            is_fine: true,
            configured: id(configured),
            kept: id(kept),
            left: id(left),
        }
    }

    #[test]
    fn replaced_images_are_saved_unless_unhealthy() {
        let keeps = |images: &ServiceImages| to_keep(images).cloned();
        assert_eq!(keeps(&images(&["v1"], "v2", "", "")).as_deref(), Some("v1"));
        assert_eq!(keeps(&images(&["v2", "v1"], "v2", "v0", "")).as_deref(), Some("v1"));
        for unchanged in
            [images(&["v2"], "v2", "v1", ""), images(&[], "v2", "v1", ""), images(&["v1"], "v2", "v1", "")]
        {
            assert_eq!(keeps(&unchanged), None, "{unchanged:?}");
        }
        let ill = |kept| ServiceImages { is_fine: false, ..images(&["v2"], "v3", kept, "") };
        assert_eq!((keeps(&ill("v1")), keeps(&ill("")).as_deref()), (None, Some("v2")));
    }

    fn planned(services: [ServiceImages; 2]) -> Vec<String> {
        let services = ["a", "b"].map(str::to_owned).into_iter().zip(services).collect();
        let text = |step: RollbackStep| {
            format!("{}: {} -> {}", step.service, step.from.as_deref().unwrap_or("nothing"), step.to)
        };
        steps(&services).into_iter().map(text).collect()
    }

    #[test]
    fn any_project_name_makes_a_valid_repository() {
        for project in ["my_", "a_-b", "a___b"] {
            let tag = kept_tag(project, "api");
            assert!(tag.rsplit_once(':').is_some_and(|(name, _)| !name.contains('_')), "{tag}");
        }
    }

    #[test]
    fn a_rollback_returns_to_the_saved_images() {
        let both = planned([images(&["v2"], "v2", "v1", ""), images(&[], "v2", "v1", "")]);
        assert_eq!(both, ["a: v2 -> v1", "b: nothing -> v1"]);
        assert_eq!(planned([images(&["v1"], "v2", "v1", ""), images(&["v2"], "v2", "", "")]), [""; 0]);
    }

    #[test]
    fn an_unfinished_rollback_is_continued_and_not_turned_around() {
        let services = [images(&["v1"], "v2", "v1", "v2"), images(&["v2"], "v2", "v1", "v2")];
        assert_eq!(planned(services), ["a: v2 -> v1", "b: v2 -> v1"]);
        let services = [images(&["v1"], "v2", "v2", ""), images(&["v2"], "v2", "v1", "v2")];
        assert_eq!(planned(services), ["b: v2 -> v1"]);
    }
}
