//! What Compose services run instead of their images' own commands and health checks, and what they mount.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::commands;
use crate::guard::CheckRequest;
use crate::prune_finding::PruneFinding;
use crate::report::{Finding, FindingKind, Subject};
use crate::secrets::KnownValues;
use crate::volumes::{self, LockedVolume};
use contents::analysis::{self, Inside};
use contents::image::ImageToAnalyze;
use engine::compose::{ComposeConfig, ComposeService, Project, default_files};
use engine::context::Context;
use engine::variables::Variables;
use model::manifest::{Manifest, Service};

/// Something that a service needs and its image does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideFinding {
    /// The service's name in the Compose file.
    pub service: String,
    /// `command`, `entrypoint`, `healthcheck` or `volumes`.
    pub key: &'static str,
    /// `Pruned` for a missing program, `Volume` for a volume that cannot be written.
    pub kind: FindingKind,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub remedy: String,
    /// The place in the image that `[[check.allow]]` names.
    pub path: Option<String>,
}

/// Checks the services of the repository's own Compose files against images of this tag, as breaches of `check`.
///
/// # Errors
/// As for [`findings`], and when the environment or `.env` cannot be read.
pub(crate) fn breaches(
    manifest: &Manifest,
    request: &CheckRequest<'_>,
    context: &Context,
) -> Result<Vec<Finding>> {
    let variables = Variables::read(context)?;
    if default_files(&context.repository, &variables).is_empty() {
        return Ok(Vec::new());
    }
    let project = Project::new(&context.docker, context.repository.root()).profiles(&["*".to_owned()]);
    let reason = match project.readable_config() {
        Ok(Some(config)) => return of_config(&config, manifest, request, context),
        Ok(None) => "docker compose is not installed".to_owned(),
        Err(error) => without_warnings(&format!("{error:#}")),
    };
    let what = "the commands in the Compose file were not compared with the images";
    context.terminal.warn(format!("{what}: {reason}"));
    Ok(Vec::new())
}

/// Compose warns of every variable that is not set.
fn without_warnings(error: &str) -> String {
    let lines = error.lines().filter(|line| !line.trim_start().starts_with("time="));
    lines.collect::<Vec<_>>().join("\n")
}

fn of_config(
    config: &ComposeConfig,
    manifest: &Manifest,
    request: &CheckRequest<'_>,
    context: &Context,
) -> Result<Vec<Finding>> {
    let own = request.services.iter().filter_map(|service| {
        let name = service.compose.as_deref()?;
        // A service that is built may name no image.
        let in_compose = config.services.get(name)?;
        (in_compose.image.is_empty() || service.is_in(&in_compose.image)).then_some((name, *service))
    });
    let own: BTreeMap<&str, &Service> = own.collect();
    let mut breaches = Vec::new();
    for &edition in &request.editions {
        let there = own.iter().filter(|(_, service)| service.exists_in(edition));
        let services = there.map(|(name, service)| {
            let mut of_edition = config.services[*name].clone();
            of_edition.image = request.reference(service, edition);
            ((*name).to_owned(), of_edition)
        });
        for found in findings(&services.collect(), manifest, context)? {
            let subject = Subject::new(&own[found.service.as_str()].name, edition);
            let what = format!("in the Compose file, {}", found.what);
            let finding = Finding::new(found.kind, vec![subject], what, found.remedy);
            breaches.push(Finding { path: found.path, ..finding });
        }
    }
    Ok(breaches)
}

/// How to fix a missing program.
pub const REMEDY: &str = "remove the key from the Compose file, so that the image's own applies, or use a program that the image has";

/// Checks these services against their images. Images that the engine does not have are left out.
///
/// # Errors
/// When docker fails, or an image is damaged.
pub fn findings(
    services: &BTreeMap<String, ComposeService>,
    manifest: &Manifest,
    context: &Context,
) -> Result<Vec<OverrideFinding>> {
    let overriding: Vec<(&String, &ComposeService)> =
        services.iter().filter(|(_, service)| overrides(service)).collect();
    if overriding.is_empty() {
        return Ok(Vec::new());
    }
    let references: Vec<String> = overriding.iter().map(|(_, service)| service.image.clone()).collect();
    let images = context.docker.inspect(&references)?;
    let (mut targets, mut checked) = (Vec::new(), Vec::new());
    for (name, service) in overriding {
        if let Some(image) = images.get(&service.image) {
            targets.push(ImageToAnalyze { reference: service.image.clone(), image: image.clone() });
            checked.push((name, service));
        }
    }
    let scanner = KnownValues::read(manifest, context)?.scanner()?;
    let mut next = checked.into_iter();
    let found = analysis::inspect(&targets, &scanner, manifest, context, &mut |inside| {
        next.next().map_or_else(Vec::new, |(name, service)| of_service(inside, name, service))
    })?;
    Ok(found.into_iter().flatten().collect())
}

fn overrides(service: &ComposeService) -> bool {
    let has_test = service.healthcheck.as_ref().is_some_and(|check| !check.disable && check.test.is_some());
    has_test || service.command.is_some() || service.entrypoint.is_some() || !service.volumes.is_empty()
}

/// The findings of one service.
fn of_service(inside: &Inside<'_>, name: &str, service: &ComposeService) -> Vec<OverrideFinding> {
    let config = inside.image.config.clone().unwrap_or_default();
    let missing = commands::missing_in_service(&inside.tree, &inside.metadata, &config, service);
    let program = |(key, missing): (&'static str, PruneFinding)| OverrideFinding {
        service: name.to_owned(),
        key,
        kind: FindingKind::Pruned,
        what: missing.what,
        remedy: REMEDY.to_owned(),
        path: None,
    };
    let volume = |volume: LockedVolume| OverrideFinding {
        service: name.to_owned(),
        key: "volumes",
        kind: FindingKind::Volume,
        what: volume.what,
        remedy: volume.remedy,
        path: Some(volume.path),
    };
    let volumes = volumes::of_service(&inside.tree, &config, service).into_iter().map(volume);
    missing.into_iter().map(program).chain(volumes).collect()
}
