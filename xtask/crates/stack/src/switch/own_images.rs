//! Tells this repository's images from others: they have a service's image name and a known registry.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use build::push::digests::Digests;
use engine::variables::Variables;
use host::paths::Repository;
use model::image_ref::{familiar, name_of, path_of, repository_of};
use model::manifest::{Manifest, Service};
use model::variant::Variant;

use crate::switch::reference::{ComposeImage, SwitchRequest};
use crate::switch::registries;

/// Our image names and registries.
#[derive(Debug, Clone)]
pub struct OwnImages<'a> {
    /// The last components of image names, each with the paths before it.
    names: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// Empty where only names are known.
    services: Vec<&'a Service>,
    /// Registry and path, as [`normalized`].
    registries: BTreeSet<String>,
}

impl<'a> OwnImages<'a> {
    /// Images with these names and either no registry or one of `registries`.
    pub fn of(
        names: impl IntoIterator<Item = &'a str>,
        registries: impl IntoIterator<Item = String>,
    ) -> OwnImages<'a> {
        let registries = registries.into_iter().map(|registry| normalized(&registry));
        let registries = std::iter::once(String::new()).chain(registries).collect();
        let mut by_name: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for name in names {
            by_name.entry(name_of(name)).or_default().insert(registry_of(name));
        }
        OwnImages { names: by_name, services: Vec::new(), registries }
    }

    /// The services' images. Known registries come from the manifest, the environment, and this checkout's pushes and switches.
    ///
    /// # Errors
    /// When the record of switched registries cannot be read.
    pub fn known(
        manifest: &'a Manifest,
        variables: &Variables,
        pushed: &Digests,
        repository: &Repository,
    ) -> Result<OwnImages<'a>> {
        let names = manifest.services.iter().map(|service| service.image.as_str());
        let variable = manifest.variable("REGISTRY");
        let declared = manifest.registries.iter().map(String::as_str).chain(variables.get(&variable));
        let known = declared.chain(pushed.references().map(registry_of)).map(str::to_owned);
        let own = OwnImages::of(names, known.chain(registries::read(repository)?));
        Ok(OwnImages { services: manifest.services.iter().collect(), ..own })
    }

    /// Adds registries, `HOST[:PORT][/PATH]`.
    pub fn extend(&mut self, registries: impl IntoIterator<Item = String>) {
        self.registries.extend(registries.into_iter().map(|registry| normalized(&registry)));
    }

    /// Whether a reference without variables is one of our images.
    pub fn owns(&self, reference: &str) -> bool {
        self.knows(name_of(reference), registry_of(reference))
    }

    /// Whether a reference without variables is one of our images and is built, not pulled.
    pub fn builds(&self, reference: &str) -> bool {
        let name = familiar(repository_of(reference));
        let mut pulled = self.services.iter().filter(|service| service.pulled.is_some());
        self.owns(reference) && !pulled.any(|service| familiar(&service.image) == name)
    }

    /// Whether an image of this name is ours in this registry: where its name says, or below a known registry.
    fn knows(&self, name: &str, registry: &str) -> bool {
        let registry = normalized(registry);
        let is_own = |before: &&str| match *before {
            "" => self.registries.contains(&registry),
            before => {
                let below = registry.strip_suffix(path_of(before)).and_then(|host| host.strip_suffix('/'));
                normalized(before) == registry
                    || below.is_some_and(|host| host != "docker.io" && self.registries.contains(host))
            }
        };
        self.names.get(name).is_some_and(|before| before.iter().any(is_own))
    }

    /// The change to one of our references. A service without an optimized image keeps its variant, a template applies to the new
    /// tag, a new registry keeps the path in the image's name, and a pulled image keeps its tag.
    pub(super) fn request_for(&self, image: &ComposeImage<'_>, request: &SwitchRequest) -> SwitchRequest {
        let mut request = request.clone();
        let base = image.base_tag(&request.editions);
        let mut named = self.services.iter().filter(|service| name_of(&service.image) == image.name());
        let Some(service) =
            named.clone().find(|service| service.contracted(base).is_some()).or_else(|| named.next())
        else {
            return request;
        };
        if !service.has_twin() {
            request.variant = Variant::Original;
        }
        if service.pulled.is_some() {
            // Its tag may end like ours.
            request.variant = image.variant();
            (request.tag, request.edition, request.registry) = (None, None, None);
            return request;
        }
        request.tag = request.tag.map(|tag| tag.map(|tag| service.expanded(tag)));
        let path = path_of(&service.image).rsplit_once('/').map(|(path, _)| path);
        if let (Some(registry), Some(path)) = (&request.registry, path) {
            request.registry = format!("{registry}/{path}").parse().ok().or(request.registry);
        }
        request
    }

    /// Whether a reference, as written, is one of our images. A registry in a variable counts as ours: it is configurable.
    pub(super) fn owns_written(&self, image: &ComposeImage<'_>) -> bool {
        let registry = image.registry();
        self.has_name(image) && (registry.contains('$') || self.knows(image.name(), registry))
    }

    /// Whether one of our images has this name, ignoring the registry.
    pub(super) fn has_name(&self, image: &ComposeImage<'_>) -> bool {
        self.names.contains_key(image.name())
    }

    /// One of our image names that occurs in a text.
    pub(super) fn name_in(&self, text: &str) -> Option<&'a str> {
        self.names.keys().find(|name| text.contains(**name)).copied()
    }
}

/// Registry and path of a reference: everything before the last slash, or nothing.
pub fn registry_of(reference: &str) -> &str {
    repository_of(reference).rsplit_once('/').map_or("", |(registry, _)| registry)
}

/// Normalizes a registry like docker (github.com/distribution/reference, `ParseNormalizedNamed`): no host means Docker Hub.
/// Returns an empty string for Docker Hub's `library`.
fn normalized(registry: &str) -> String {
    let registry = registry.trim_end_matches('/');
    let (first, rest) = registry.split_once('/').unwrap_or((registry, ""));
    let path = match first {
        "docker.io" | "index.docker.io" => rest,
        host if host.contains(['.', ':']) || host == "localhost" => return registry.to_owned(),
        _ => registry,
    };
    match path {
        "" | "library" => String::new(),
        path => format!("docker.io/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(registries: &[&str]) -> OwnImages<'static> {
        OwnImages::of(["api"], registries.iter().map(ToString::to_string))
    }

    #[test]
    fn ours_are_ours_by_repository() {
        let own = own(&["hub.example:5000/team", "acme/"]);
        for ours in [
            "api",
            "api:1",
            "docker.io/api:1",
            "index.docker.io/library/api",
            "library/api",
            "acme/api:1",
            "docker.io/acme/api@sha256:11",
            "hub.example:5000/team/api:1@sha256:11",
        ] {
            assert!(own.owns(ours), "{ours}");
        }
        for other in [
            "other.example/someone-else/api:3",
            "hub.example:5000/api:1",
            "hub.example/team/api",
            "acme/x/api",
            "localhost/api",
            "localhost:5000/api",
            "someone/api",
            "hub.example:5000/team/api-docs:1",
        ] {
            assert!(!own.owns(other), "{other}");
        }
    }

    #[test]
    fn pulled_images_of_the_manifest_are_not_built() {
        let service = |image: &str, pulled: Option<&str>| Service {
            image: image.into(),
            pulled: pulled.map(str::to_owned),
            ..Service::default()
        };
        let (api, redis) = (service("api", None), service("redis", Some("redis:7")));
        let own = OwnImages { services: vec![&api, &redis], ..OwnImages::of(["api", "redis"], []) };
        assert!(own.builds("api:1") && own.owns("redis:7"));
        assert!(
            !own.builds("docker.io/library/redis:7") && !own.builds("redis:7") && !own.builds("postgres:16")
        );
    }

    #[test]
    fn a_registry_in_a_variable_is_ours() {
        let own = own(&[]);
        let owns = |text| ComposeImage::parse(text).is_some_and(|image| own.owns_written(&image));
        assert!(owns("${HUB:-hub.example:5000/}/api:1") && owns("hub.example/$TEAM/api") && owns("api:${V}"));
        assert!(!owns("hub.example/api:${V}") && !owns("$HUB/api-docs"));
    }
}
