//! The manifest, completed by the builds of Compose and bake files.

use anyhow::Result;

use super::{BuildOrigin, NamedBuild, all};
use crate::context::Context;
use host::failure::{Failure, FailureClass};
use model::image_ref::{is_repository, repository_of};
use model::manifest::{Manifest, Service};
use model::reader;

/// Reads the repository's manifest. With schema 2, every build of its Compose and bake files is a service, and a service that declares
/// no build of its own has the one of its name. Builds that cannot be used are reported, and the others go on.
///
/// # Errors
/// As [`reader::load`] and [`all`], and when a service has no build.
pub fn manifest(context: &Context) -> Result<Manifest> {
    let mut manifest = reader::load(&context.repository)?;
    if manifest.schema < 2 {
        return Ok(manifest);
    }
    let root = context.repository.root();
    let found = all(root, manifest.compose.as_deref(), &manifest.bake, &context.docker)?;
    for problem in &found.problems {
        context.terminal.warn(format!("{}: {}\nhelp: {}", problem.name, problem.what, problem.remedy));
    }
    let name = context.repository.manifest_name();
    complete(&mut manifest, &found.builds, &found.project);
    if manifest.services.is_empty() {
        let what = format!("{name}: no service, and no Compose or bake file has a build");
        return Err(Failure::new(
            FailureClass::Manifest,
            what,
            "declare one: [service.NAME] with its `dockerfile`",
        )
        .into());
    }
    match manifest.services.iter().find(|service| service.pulled.is_none() && service.original.is_none()) {
        None => Ok(manifest),
        Some(service) => {
            let what = format!(
                "{name}: service {} has no build, and no Compose or bake file has one of this name",
                service.name
            );
            Err(Failure::new(FailureClass::Manifest, what, "add its `dockerfile`, or remove it").into())
        }
    }
}

fn complete(manifest: &mut Manifest, builds: &[NamedBuild], project: &str) {
    let mut taken = vec![false; builds.len()];
    for service in manifest.services.iter_mut().filter(|service| service.pulled.is_none()) {
        let is_meant = |build: &NamedBuild| match &service.compose {
            Some(compose) => build.sharing.contains(compose),
            None => build.sharing.contains(&service.name) || build.service == service.name,
        };
        let same = |build: &NamedBuild| service.original.as_ref() == Some(&build.build);
        let Some(at) = builds.iter().position(|build| is_meant(build) || same(build)) else { continue };
        taken[at] = true;
        fill(service, &builds[at], project);
    }
    for (build, _) in builds.iter().zip(taken).filter(|(_, taken)| !taken) {
        let mut service = Service {
            name: build.service.clone(),
            image: build.service.clone(),
            editions_in: manifest.editions.clone(),
            ..Service::default()
        };
        fill(&mut service, build, project);
        manifest.services.push(service);
    }
    name_contexts(manifest, builds);
}

/// Named contexts that are other builds get the names of their services.
fn name_contexts(manifest: &mut Manifest, builds: &[NamedBuild]) {
    let service_of = |services: &[Service], target: &str| {
        let build = builds.iter().find(|build| build.sharing.iter().any(|name| name == target))?;
        let meant = services.iter().find(|service| service.original.as_ref() == Some(&build.build));
        meant.map(|service| format!("target:{}", service.name))
    };
    let services = manifest.services.clone();
    for service in &mut manifest.services {
        let own = [service.original.as_mut(), service.optimized.as_mut()];
        for context in own.into_iter().flatten().flat_map(|build| build.contexts.values_mut()) {
            let named = context.strip_prefix("target:").and_then(|target| service_of(&services, target));
            if let Some(named) = named {
                *context = named;
            }
        }
    }
}

/// What the manifest does not declare.
fn fill(service: &mut Service, found: &NamedBuild, project: &str) {
    if service.original.is_none() {
        service.original = Some(found.build.clone());
        if let Some(optimized) = &mut service.optimized {
            let dockerfile = std::mem::take(&mut optimized.dockerfile);
            *optimized =
                model::manifest::Build { dockerfile, target: None, inline: None, ..found.build.clone() };
        }
    }
    // The service's name is the default.
    if service.image == service.name {
        let named = found.image.as_deref().map(|image| repository_of(image).to_owned());
        // As Compose names images without `image`.
        let by_project = || format!("{project}-{}", found.name).to_lowercase();
        let image = named.or_else(|| (found.origin == BuildOrigin::Compose).then(by_project));
        if let Some(image) = image.filter(|image| is_repository(image)) {
            service.image = image;
            service.tag = service.tag.take().or_else(|| found.tag.clone());
        }
    }
    if found.origin == BuildOrigin::Compose {
        service.compose = service.compose.take().or_else(|| Some(found.name.clone()));
    }
    service.port = service.port.or_else(|| found.ports.first().copied());
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::manifest::Build;

    fn named(name: &str, image: Option<&str>) -> NamedBuild {
        NamedBuild {
            name: name.to_owned(),
            service: super::super::plain_name(name),
            sharing: vec![name.to_owned()],
            image: image.map(str::to_owned),
            ports: vec![80],
            build: Build { context: name.to_owned(), ..Build::default() },
            ..NamedBuild::default()
        }
    }

    #[test]
    fn builds_become_services_unless_the_manifest_has_its_own() {
        let mut manifest = Manifest::default();
        let own = Build { context: "own".to_owned(), ..Build::default() };
        let service = |name: &str, original: Option<Build>| Service {
            name: name.to_owned(),
            image: name.to_owned(),
            original,
            ..Service::default()
        };
        manifest.services = vec![service("web", None), service("batch", Some(own))];
        let mut builds = [named("Web", Some("h.example/x/web:1")), named("api", None)];
        builds[1].build.contexts.insert("base".to_owned(), "target:Web".to_owned());
        complete(&mut manifest, &builds, "shop");
        assert_eq!(manifest.services[2].original.as_ref().unwrap().contexts["base"], "target:web");
        let short: Vec<(&str, &str, &str)> = manifest
            .services
            .iter()
            .map(|one| {
                (one.name.as_str(), one.image.as_str(), one.original.as_ref().unwrap().context.as_str())
            })
            .collect();
        assert_eq!(
            short,
            [("web", "h.example/x/web", "Web"), ("batch", "batch", "own"), ("api", "shop-api", "api")]
        );
        assert_eq!(
            (manifest.services[0].port, manifest.services[0].compose.as_deref()),
            (Some(80), Some("Web"))
        );
    }
}
