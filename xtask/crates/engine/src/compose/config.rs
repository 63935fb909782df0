//! The answer of `docker compose config`: the files merged, variables filled in. Volumes and networks that no service uses are
//! not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

/// A project's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeConfig {
    /// The project's name.
    pub name: String,
    /// By name.
    pub services: BTreeMap<String, ComposeService>,
    /// By the key in the files.
    pub networks: BTreeMap<String, ComposeResource>,
    /// By the key in the files.
    pub volumes: BTreeMap<String, ComposeResource>,
}

/// A service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeService {
    /// The image's reference.
    pub image: String,
    /// `container_name`, where it is set.
    pub container_name: Option<String>,
    /// `host` and so on, where it is set.
    pub network_mode: Option<String>,
    /// What is mounted.
    pub volumes: Vec<ComposeMount>,
    /// Services, and `container:NAME` for other containers, whose volumes are mounted too; each may end in `:ro`.
    pub volumes_from: Vec<String>,
    /// Its networks, by the key in the files, with their settings.
    pub networks: BTreeMap<String, serde_json::Value>,
    /// The configs that are mounted.
    pub configs: Vec<ComposeConfigMount>,
    /// `restart`, if set: `no`, `always`, `on-failure:3`…
    pub restart: Option<String>,
    /// By name of the service that is started before.
    pub depends_on: BTreeMap<String, ComposeDependency>,
    /// Replaces the image's entrypoint and, unless empty, also its command.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command, unless empty.
    pub command: Option<Vec<String>>,
    /// Replaces the image's health check.
    pub healthcheck: Option<ComposeHealthcheck>,
    /// Replaces the image's user.
    pub user: Option<String>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// By name; null for variables of the user's environment that are not set.
    pub environment: BTreeMap<String, Option<String>>,
    /// How `docker compose build` builds the image.
    pub build: Option<ComposeBuild>,
    scale: Option<u32>,
    deploy: Option<ComposeDeploy>,
}

/// A health check.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeHealthcheck {
    /// `CMD` and arguments, `CMD-SHELL` and a command line, or `NONE`; the image's if missing.
    pub test: Option<Vec<String>>,
    /// Whether there is none.
    pub disable: bool,
}

/// A build.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeBuild {
    /// The build context: an absolute path, or a URL.
    pub context: PathBuf,
    /// The Dockerfile, relative to the context.
    pub dockerfile: PathBuf,
    /// The text to use instead of a Dockerfile.
    pub dockerfile_inline: Option<String>,
}

/// A dependency of a service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeDependency {
    /// `service_started`, `service_healthy` or `service_completed_successfully`.
    pub condition: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct ComposeDeploy {
    replicas: Option<u32>,
}

impl ComposeService {
    /// The number of its containers (Compose Specification: `scale`, `deploy.replicas`).
    pub fn replicas(&self) -> u32 {
        self.scale.or(self.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1)
    }
}

/// How long a service is expected to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It runs until it is stopped.
    Stays,
    /// It may exit with code 0: another service depends on it, and its `restart` policy does not restart it on success.
    MayEnd,
    /// It exits with code 0: another service waits for it to complete.
    Ends,
}

/// The expected [`Lifetime`] of a service (Compose Specification, `depends_on` and `restart`).
pub fn lifetime(services: &BTreeMap<String, ComposeService>, name: &str) -> Lifetime {
    let needs: Vec<&str> = services
        .values()
        .filter_map(|service| Some(service.depends_on.get(name)?.condition.as_str()))
        .collect();
    let restart = services.get(name).and_then(|service| service.restart.as_deref()).unwrap_or_default();
    if needs.contains(&"service_completed_successfully") {
        Lifetime::Ends
    } else if !needs.is_empty() && (restart == "no" || restart.starts_with("on-failure")) {
        Lifetime::MayEnd
    } else {
        Lifetime::Stays
    }
}

/// A mount of a service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeMount {
    /// `volume`, `bind`, `tmpfs`…
    #[serde(rename = "type")]
    pub kind: String,
    /// A volume's key, or a path on the host.
    pub source: PathBuf,
    /// The path in the container.
    pub target: String,
    /// Whether the container cannot write there.
    pub read_only: bool,
}

/// A config of a service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeConfigMount {
    /// Its key at the top level.
    pub source: String,
    /// The path in the container; `/SOURCE` if missing.
    pub target: Option<String>,
}

/// A volume or a network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ComposeResource {
    /// Whether it exists outside of the project.
    pub external: bool,
    /// The name that the engine knows it by.
    pub name: String,
}

/// Services with all their direct and indirect dependencies.
pub fn with_dependencies(services: &BTreeMap<String, ComposeService>, names: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = names.iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name.clone()) {
            open.extend(services.get(name).into_iter().flat_map(|service| service.depends_on.keys()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_and_services_that_are_expected_to_end() {
        // As Compose 2.26 prints them.
        let text = r#"{"name":"p","services":{
            "a":{"image":"x","deploy":{"replicas":2,"resources":{}},
                "depends_on":{"init":{"condition":"service_completed_successfully","required":true},
                    "job":{"condition":"service_started","required":true},
                    "b":{"condition":"service_healthy","required":true}}},
            "b":{"image":"x","scale":0,"restart":"always","deploy":null},
            "init":{"image":"x"},
            "job":{"image":"x","restart":"no"},
            "alone":{"image":"x","restart":"no"}}}"#;
        let services = serde_json::from_str::<ComposeConfig>(text).unwrap().services;
        let found: Vec<_> = services
            .iter()
            .map(|(name, service)| (name.as_str(), service.replicas(), lifetime(&services, name)))
            .collect();
        assert_eq!(
            found,
            [
                ("a", 2, Lifetime::Stays),
                ("alone", 1, Lifetime::Stays),
                ("b", 0, Lifetime::Stays),
                ("init", 1, Lifetime::Ends),
                ("job", 1, Lifetime::MayEnd)
            ]
        );
    }

    #[test]
    fn what_a_service_runs_instead_of_its_image() {
        // As Compose 2.26 prints them.
        let text = r#"{"services":{
            "a":{"command":["a","$$b"],"entrypoint":[],"healthcheck":{"test":["CMD-SHELL","curl x"],"interval":"1s"},
                "environment":{"PATH":"/x","Y":null},"build":{"context":"/r","dockerfile":"Dockerfile"}},
            "b":{"command":null,"entrypoint":null,"healthcheck":{"disable":true}}}}"#;
        let services = serde_json::from_str::<ComposeConfig>(text).unwrap().services;
        let (a, b) = (&services["a"], &services["b"]);
        assert_eq!(
            (a.command.as_ref().map(Vec::len), a.entrypoint.as_ref().map(Vec::len)),
            (Some(2), Some(0))
        );
        assert_eq!((&b.command, &b.entrypoint), (&None, &None));
        assert_eq!(a.environment["Y"], None);
        assert!(b.healthcheck.as_ref().is_some_and(|check| check.disable && check.test.is_none()));
    }

    #[test]
    fn dependencies_are_followed_even_in_a_cycle() {
        let text = r#"{"name":"p","services":{
            "door":{"image":"d","depends_on":{"brain":{"condition":"service_started"}}},
            "brain":{"image":"b","depends_on":{"store":{"condition":"service_healthy"}}},
            "store":{"image":"s","depends_on":{"brain":{"condition":"service_started"}}},
            "page":{"image":"p"}}}"#;
        let config: ComposeConfig = serde_json::from_str(text).unwrap();
        let found = |name: &str| {
            let found = with_dependencies(&config.services, &[name.to_owned()]);
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!((found("door").as_str(), found("page").as_str()), ("brain door store", "page"));
    }
}
