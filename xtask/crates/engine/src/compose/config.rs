//! The answer of `docker compose config`: the files merged, variables filled in. Volumes and networks that no service uses are
//! not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IgnoredAny;

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
    /// By name of the service that is started before.
    depends_on: BTreeMap<String, IgnoredAny>,
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
