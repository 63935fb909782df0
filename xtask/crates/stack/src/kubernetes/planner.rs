//! Turns a Compose project into a plan.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::mounts::{Mounting, object_name, volume_users};
use crate::kubernetes::names;
use crate::kubernetes::plan::{FileContent, KubernetesPlan, MountedFile, Workload, WorkloadKind};
use crate::kubernetes::{amounts, confinement, environment, health, ports, untranslated};
use crate::secrecy::SecretFinder;
use engine::compose::cluster::{ClusterProject, ClusterService, ConfigFile};
use engine::images::Image;
use host::failure::{Failure, FailureClass};
use model::manifest::Manifest;

/// Inputs of a plan.
pub struct PlanInput<'a> {
    /// The Compose project.
    pub project: &'a ClusterProject,
    /// The manifest.
    pub manifest: &'a Manifest,
    /// The images on this engine, by their references in the Compose file.
    pub images: &'a BTreeMap<String, Image>,
    /// Variables from the environment and `.env`.
    pub variables: &'a BTreeMap<String, String>,
    /// Recognizes secrets.
    pub secrets: &'a SecretFinder,
}

/// Plans the objects of a project.
///
/// # Errors
/// A service has no image, two services map to the same name, a command or config holds a secret, or the file of a config or secret
/// cannot be read or is too large.
pub fn plan(input: &PlanInput<'_>) -> Result<KubernetesPlan> {
    let project = input.project;
    let mut gaps = Gaps::default();
    untranslated::report_unread(project, &mut gaps);
    let object_names = names::of_services(project.services.keys())?;
    let users = volume_users(project);
    let (mut workloads, mut claims) = (Vec::new(), Vec::new());
    for (service, settings) in &project.services {
        let name = object_names[service].clone();
        if name != *service {
            let instead = format!("renamed to {name}; use {name} as the host name");
            gaps.add(service, "invalid Kubernetes name", instead);
        }
        let mut workload = Workload { name, service: service.clone(), ..Workload::default() };
        let mounting = Mounting { project, users: &users, gaps: &mut gaps, shared: &mut claims };
        fill(&mut workload, settings, input, mounting)?;
        workloads.push(workload);
    }
    connect(&mut workloads, project, &mut gaps);
    let (configs, secret_files) = mounted_files(input)?;
    let project = names::label(&project.name);
    Ok(KubernetesPlan { project, workloads, claims, configs, secret_files, gaps: gaps.list() })
}

fn fill(
    workload: &mut Workload,
    service: &ClusterService,
    input: &PlanInput<'_>,
    mut mounting: Mounting<'_>,
) -> Result<()> {
    if service.image.is_empty() {
        let what = format!("{} has no image in the Compose file", workload.service);
        let remedy = "add `image`: clusters pull images from a registry";
        return Err(Failure::new(FailureClass::Failed, what, remedy).into());
    }
    let declared = input.manifest.services.iter().find(|own| own.is_compose(&workload.service));
    let config = input.images.get(&service.image).map(|image| image.config.clone().unwrap_or_default());
    let is_awaited = |other: &ClusterService| {
        let dependency = other.depends_on.get(&workload.service);
        dependency.is_some_and(|how| how.condition == "service_completed_successfully")
    };
    if input.project.services.values().any(is_awaited) {
        workload.kind = WorkloadKind::Job;
    }
    let keys =
        |map: Option<BTreeMap<String, _>>| map.unwrap_or_default().into_keys().collect::<Vec<String>>();
    let exposed = keys(config.as_ref().and_then(|config| config.exposed_ports.clone()));
    let volumes = keys(config.as_ref().and_then(|config| config.volumes.clone()));
    let gaps = &mut *mounting.gaps;
    amounts::set(workload, service, gaps);
    environment::set(workload, service, input.secrets, gaps)?;
    ports::set(workload, service, &exposed, declared.and_then(|own| own.port), gaps);
    confinement::set(workload, service, config.as_ref().map(|config| config.user.as_str()), gaps);
    let image_check = config.as_ref().and_then(|config| config.healthcheck.as_ref());
    if workload.kind != WorkloadKind::Job {
        health::set(workload, service.healthcheck.as_ref(), image_check, declared, input.secrets, gaps)?;
    }
    mounting.set(workload, service, &volumes);
    for claim in &workload.claims {
        let what = format!("volume {} has no size in Compose", claim.name);
        mounting.gaps.add(&workload.service, what, "uses --volume-size");
    }
    untranslated::set(workload, service, mounting.gaps);
    Ok(())
}

/// As in Compose, workloads that share a network may reach each other.
fn connect(workloads: &mut [Workload], project: &ClusterProject, gaps: &mut Gaps) {
    let networks = |service: &str| -> BTreeSet<&String> {
        project.services.get(service).into_iter().flat_map(|service| service.networks.keys()).collect()
    };
    let all: Vec<(String, BTreeSet<&String>)> =
        workloads.iter().map(|workload| (workload.name.clone(), networks(&workload.service))).collect();
    let names: BTreeSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
    let mut taken = names;
    for workload in workloads {
        let own = networks(&workload.service);
        let shares = |theirs: &BTreeSet<&String>| !own.is_disjoint(theirs);
        workload.peers =
            all.iter().filter(|(_, theirs)| shares(theirs)).map(|(name, _)| name.clone()).collect();
        let is_internal =
            |name: &&String| project.networks.get(*name).is_some_and(|network| network.internal);
        workload.internal = !own.is_empty() && own.iter().all(is_internal);
        let service = project.services.get(&workload.service);
        let uses = service.into_iter().flat_map(|service| service.networks.values());
        for alias in uses.flat_map(|used| &used.aliases) {
            if names::label(alias) != *alias || !taken.insert(alias.clone()) {
                gaps.add(&workload.service, format!("network alias {alias}"), "left out");
            } else {
                workload.aliases.push(alias.clone());
            }
        }
    }
}

/// Files of the configs and secrets that services mount. A config that holds a secret is an error.
fn mounted_files(input: &PlanInput<'_>) -> Result<(Vec<MountedFile>, Vec<MountedFile>)> {
    let used = |all: fn(&ClusterService) -> Vec<&String>| -> BTreeSet<&String> {
        input.project.services.values().flat_map(all).collect()
    };
    let mut found = (Vec::new(), Vec::new());
    for key in used(|service| service.configs.iter().map(|used| &used.source).collect()) {
        let Some(config) = input.project.configs.get(key).filter(|config| !config.external) else { continue };
        let content = content("config", key, config, input.variables)?;
        if input.secrets.holds_secret(&String::from_utf8_lossy(&content.0)) {
            let what = format!("config {key} holds a secret; nothing was written");
            let remedy = "declare it under `secrets` in the Compose file";
            return Err(Failure::new(FailureClass::Failed, what, remedy).into());
        }
        found.0.push(MountedFile { name: object_name("config", key), content });
    }
    for key in used(|service| service.secrets.iter().map(|used| &used.source).collect()) {
        let Some(secret) = input.project.secrets.get(key).filter(|secret| !secret.external) else { continue };
        let content = content("secret", key, secret, input.variables)?;
        found.1.push(MountedFile { name: object_name("secret", key), content });
    }
    Ok(found)
}

/// The maximum size of a ConfigMap or Secret, in bytes.
const LARGEST: usize = 1 << 20;

fn content(
    kind: &str,
    key: &str,
    config: &ConfigFile,
    variables: &BTreeMap<String, String>,
) -> Result<FileContent> {
    let failed = |what: String, remedy: &str| Failure::new(FailureClass::Failed, what, remedy);
    let bytes = config.read(|name| variables.get(name).map(String::as_str)).map_err(|reason| {
        failed(
            format!("{kind} {key}: {reason}"),
            "correct it in the Compose file, or set the variable in .env",
        )
    })?;
    if bytes.len() > LARGEST {
        let what = format!("{kind} {key} has {} bytes; Kubernetes accepts at most {LARGEST}", bytes.len());
        return Err(failed(what, "put the file into the image or a volume").into());
    }
    Ok(FileContent(bytes))
}
