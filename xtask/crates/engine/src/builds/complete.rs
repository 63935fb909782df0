//! The manifest, completed by the builds of Compose and bake files.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{BuildOrigin, NamedBuild, all, plain_name, remove_ignored};
use crate::context::Context;
use host::failure::{Failure, FailureClass};
use model::image_ref::{is_repository, repository_of};
use model::manifest::{Manifest, Service};
use model::reader;

/// Reads the repository's manifest. With schema 2, every build of its Compose and bake files is a service, and a service that declares
/// no build of its own has the one of its name. Unusable builds are reported and skipped.
///
/// # Errors
/// As [`reader::load`] and [`all`], and when a service has no build.
pub fn manifest(context: &Context) -> Result<Manifest> {
    let mut manifest = reader::load(&context.repository)?;
    if manifest.schema < 2 {
        return Ok(manifest);
    }
    let root = context.repository.root();
    let mut found = all(root, manifest.compose.as_deref(), &manifest.bake, &context.docker)?;
    let name = context.repository.manifest_name();
    manifest.ignored = remove_ignored(&manifest.ignore, &mut found, name)?;
    for problem in &found.problems {
        context.terminal.warn(format!("{}: {}\nhelp: {}", problem.name, problem.what, problem.remedy));
    }
    complete(&mut manifest, &found.builds, &found.project);
    manifest.unusable = found.problems.iter().map(|problem| plain_name(&problem.name)).collect();
    refuse_shared_names(&manifest.services, name)?;
    if manifest.services.is_empty() {
        let what = format!("{name}: no services declared, and no build in any Compose or bake file");
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
                "{name}: service {} has no build, and no Compose or bake file builds that name",
                service.name
            );
            Err(Failure::new(FailureClass::Manifest, what, "add its `dockerfile`, or remove it").into())
        }
    }
}

/// Two services of one name would share a row of accepted sizes, and two of one image and tag would replace each other.
fn refuse_shared_names(services: &[Service], file: &str) -> Result<(), Failure> {
    let (mut names, mut images) = (BTreeSet::new(), BTreeSet::new());
    for service in services {
        let image = (&service.image, &service.tag);
        let what = if !names.insert(&service.name) {
            format!(
                "two services are named {}: one in the manifest, one in a Compose or bake file",
                service.name
            )
        } else if service.pulled.is_none() && !images.insert(image) {
            format!("{} is the image of two services, one of them {}", service.image, service.name)
        } else {
            continue;
        };
        let remedy = "rename one, or give it another `image` or `tag`";
        return Err(Failure::new(FailureClass::Manifest, format!("{file}: {what}"), remedy));
    }
    Ok(())
}

fn complete(manifest: &mut Manifest, builds: &[NamedBuild], project: &str) {
    let mut taken = vec![false; builds.len()];
    for service in manifest.services.iter_mut().filter(|service| service.pulled.is_none()) {
        let Some(at) = builds.iter().position(|build| is_of(build, service)) else { continue };
        taken[at] = true;
        fill(service, &builds[at], project);
    }
    for (build, _) in builds.iter().zip(taken).filter(|(_, taken)| !taken) {
        let mut service = Service {
            name: build.service.clone(),
            image: build.service.clone(),
            editions_in: manifest.editions.clone(),
            test: manifest.test.clone(),
            platforms: manifest.platforms.clone(),
            ..Service::default()
        };
        fill(&mut service, build, project);
        manifest.services.push(service);
    }
    name_contexts(manifest, builds);
}

/// Whether a build belongs to a service of the manifest: by name, or because both are equal.
pub fn is_of(build: &NamedBuild, service: &Service) -> bool {
    let is_meant = match &service.compose {
        Some(compose) => build.sharing.contains(compose),
        None => build.sharing.contains(&service.name) || build.service == service.name,
    };
    is_meant || service.original.as_ref() == Some(&build.build)
}

/// Named contexts that are other builds get the names of their services.
fn name_contexts(manifest: &mut Manifest, builds: &[NamedBuild]) {
    let service_of = |services: &[Service], target: &str| {
        let build = builds.iter().find(|build| build.sharing.iter().any(|name| name == target))?;
        let meant = services.iter().find(|service| service.original.as_ref() == Some(&build.build));
        meant.map(|service| format!("target:{}", service.name))
    };
    let services = manifest.services.clone();
    let of_services = manifest
        .services
        .iter_mut()
        .flat_map(|service| [service.original.as_mut(), service.optimized.as_mut()])
        .flatten();
    let all = of_services.chain(manifest.ignored.values_mut());
    for context in all.flat_map(|build| build.contexts.values_mut()) {
        let named = context.strip_prefix("target:").and_then(|target| service_of(&services, target));
        if let Some(named) = named {
            *context = named;
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

    #[test]
    fn services_of_one_name_or_one_image_and_tag_are_refused() {
        let service = |name: &str, image: &str, tag: Option<&str>| Service {
            name: name.to_owned(),
            image: image.to_owned(),
            tag: tag.map(str::to_owned),
            ..Service::default()
        };
        let refused = |services: &[Service]| {
            refuse_shared_names(services, "images.toml").err().map(|failure| failure.to_string())
        };
        let twice = refused(&[service("web", "a", None), service("web", "b", None)]).unwrap();
        assert!(twice.starts_with("images.toml: two services are named web"), "{twice}");
        let same = refused(&[service("web", "x", None), service("site", "x", None)]).unwrap();
        assert!(same.contains("x is the image of two services, one of them site"), "{same}");
        assert_eq!(refused(&[service("web", "x", None), service("site", "x", Some("{tag}-site"))]), None);
        let pulled = Service { pulled: Some("x:1".to_owned()), ..service("cache", "x", None) };
        assert_eq!(refused(&[service("web", "x", None), pulled]), None);
    }
}
