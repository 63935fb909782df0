//! What a bake gets besides its definition, depending on the version of Buildx.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use crate::bake::{Definition, Target};
use crate::version::Version;
use host::failure::Failure;
use host::files;
use host::process::Cmd;

/// The first Buildx that reads a target's `network` in a bake file, and asks for permission to use the host's.
const NETWORKS: Version = Version::new(0, 18);

/// The first Buildx that reads a target's `extra-hosts`.
const EXTRA_HOSTS: Version = Version::new(0, 25);

/// Additions to one bake command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BakeAdditions {
    /// A Compose file with the networks of targets.
    networks: Option<PathBuf>,
    /// Whether builds may use the host's network.
    host_network: bool,
    variables: BTreeMap<String, String>,
}

impl BakeAdditions {
    /// Collects what the definition in `file` needs, and writes files next to it. `version` returns the Buildx version and is called only
    /// if needed; an unknown version counts as new.
    ///
    /// # Errors
    /// [`Failure`] when this Buildx would ignore a part of the definition, and when a file cannot be written.
    pub fn new(
        definition: &Definition,
        file: &Path,
        version: impl FnOnce() -> Result<Option<Version>>,
    ) -> Result<BakeAdditions> {
        let with = |has: fn(&Target) -> bool| -> BTreeSet<&str> {
            definition
                .target
                .iter()
                .filter(|(_, target)| has(target))
                .map(|(name, _)| name.as_str())
                .collect()
        };
        let (networks, hosts) =
            (with(|target| target.network.is_some()), with(|target| !target.extra_hosts.is_empty()));
        if networks.is_empty() && hosts.is_empty() {
            return Ok(BakeAdditions::default());
        }
        let version = version()?;
        let is_older = |than: Version| version.filter(|version| *version < than);
        if let Some(version) = is_older(EXTRA_HOSTS)
            && let Some(first) = hosts.first()
        {
            let what = format!("Buildx {version} ignores the extra hosts of a build: {first}");
            return Err(Failure::machine(what, format!("update Buildx to {EXTRA_HOSTS} or newer")).into());
        }
        let mut additions = BakeAdditions::default();
        if is_older(NETWORKS).is_none() {
            additions.host_network = !with(|target| target.network.as_deref() == Some("host")).is_empty();
        } else if !networks.is_empty() {
            // Every version reads the network of a Compose file, and the rest from the definition.
            let service = |name: &&str| {
                let network = definition.target.get(*name)?.network.as_ref()?.replace('$', "$$");
                Some(((*name).to_owned(), json!({ "build": { "context": ".", "network": network } })))
            };
            let services: serde_json::Map<String, Value> = networks.iter().filter_map(service).collect();
            let path = file.with_extension("networks.yaml");
            // JSON is YAML.
            files::write_private(&path, json!({ "services": services }).to_string().as_bytes())?;
            additions.networks = Some(path);
        }
        Ok(additions)
    }

    /// Sets variables for bake alone; their values are never printed.
    #[must_use]
    pub fn with_variables(self, variables: BTreeMap<String, String>) -> BakeAdditions {
        BakeAdditions { variables, ..self }
    }

    /// Adds them to a bake command.
    #[must_use]
    pub fn apply(&self, mut cmd: Cmd) -> Cmd {
        if let Some(path) = &self.networks {
            cmd = cmd.arg("--file").arg(path.display().to_string());
        }
        if self.host_network {
            cmd = cmd.arg("--allow=network.host");
        }
        self.variables.iter().fold(cmd, |cmd, (name, value)| cmd.env(name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(network: Option<&str>, host: Option<&str>) -> Definition {
        let target = Target {
            network: network.map(str::to_owned),
            extra_hosts: host.map(|host| (host.to_owned(), "1.2.3.4".to_owned())).into_iter().collect(),
            ..Target::default()
        };
        let target = BTreeMap::from([("web".to_owned(), target), ("api".to_owned(), Target::default())]);
        Definition { target, ..Definition::default() }
    }

    #[test]
    fn networks_reach_old_versions_through_a_compose_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bake.json");
        let of = |network: &str, version: Version| {
            BakeAdditions::new(&definition(Some(network), None), &file, || Ok(Some(version))).unwrap()
        };
        let old = of("none", Version::new(0, 13));
        let path = folder.path().join("bake.networks.yaml");
        assert_eq!(old, BakeAdditions { networks: Some(path.clone()), ..BakeAdditions::default() });
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text, r#"{"services":{"web":{"build":{"context":".","network":"none"}}}}"#);
        assert_eq!(of("none", NETWORKS), BakeAdditions::default());
        assert_eq!(of("host", NETWORKS), BakeAdditions { host_network: true, ..BakeAdditions::default() });
        assert!(!of("host", Version::new(0, 17)).host_network);
    }

    #[test]
    fn what_buildx_would_ignore_is_refused() {
        let of = |host: Option<&str>, version: Version| {
            BakeAdditions::new(&definition(None, host), Path::new("/nowhere/bake.json"), || Ok(Some(version)))
        };
        let refused = of(Some("registry.test"), Version::new(0, 24)).unwrap_err().to_string();
        assert!(
            refused.starts_with("Buildx 0.24.0 ignores the extra hosts of a build: web\nhelp: "),
            "{refused}"
        );
        assert_eq!(of(Some("registry.test"), EXTRA_HOSTS).unwrap(), BakeAdditions::default());
        let unasked = || -> Result<Option<Version>> { panic!("asked for the version") };
        let plain = BakeAdditions::new(&definition(None, None), Path::new("/nowhere/bake.json"), unasked);
        assert_eq!(plain.unwrap(), BakeAdditions::default());
    }
}
