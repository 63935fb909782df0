//! Swarm secrets and configs. Both are immutable, so each version has a name that ends in a hash.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::swarm::cluster::{NAMESPACE, RunningService};
use engine::docker::Docker;

/// The label on secrets and configs created by this program; its value is the key in the Compose file.
const LABEL: &str = "images.swarm.content";
/// The number of hash characters in a name.
const HASH: usize = 12;
/// The maximum length of a name (moby, swarmkit `controlapi`).
const LONGEST: usize = 64;

/// Secret or config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentKind {
    /// Stored encrypted on the managers; mounted in memory.
    Secret,
    /// Readable by anyone with access to a manager.
    Config,
}

impl ContentKind {
    /// The name in docker's commands.
    pub fn name(self) -> &'static str {
        match self {
            ContentKind::Secret => "secret",
            ContentKind::Config => "config",
        }
    }
}

/// The bytes of a secret or config. `Debug` does not print them.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One version of a secret or config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Secret or config.
    pub kind: ContentKind,
    /// The key in the Compose file.
    pub key: String,
    /// The name in the swarm.
    pub name: String,
    /// The content.
    pub bytes: Bytes,
}

impl Content {
    /// Names a version by its hash. The hash includes the swarm's ID, which is only known with access to a manager: a weak secret
    /// cannot be guessed from the name alone.
    pub fn new(kind: ContentKind, key: &str, bytes: Vec<u8>, stack: &str, cluster: &str) -> Content {
        let mut hash = Sha256::new();
        for part in [cluster.as_bytes(), stack.as_bytes(), key.as_bytes(), &bytes] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let hash: String = hash.finalize().iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect();
        let mut name = format!("{stack}_{key}");
        name.truncate(LONGEST - HASH - 1);
        Content { kind, key: key.to_owned(), name: format!("{name}_{hash}"), bytes: Bytes(bytes) }
    }
}

/// The names of existing secrets or configs; with `filter`, only those that this program created for that stack.
fn existing(kind: ContentKind, filter: Option<&str>, docker: &Docker) -> Result<BTreeSet<String>> {
    let mut cmd = docker.cmd([kind.name(), "ls", "--format", "{{.Name}}"]);
    for label in
        filter.iter().flat_map(|stack| [format!("label={NAMESPACE}={stack}"), format!("label={LABEL}")])
    {
        cmd = cmd.arg("--filter").arg(label);
    }
    Ok(cmd.read()?.lines().map(str::to_owned).collect())
}

/// The external secrets and configs that are missing from the swarm.
///
/// # Errors
/// When docker fails.
pub(super) fn missing(
    names: &BTreeSet<(ContentKind, String)>,
    docker: &Docker,
) -> Result<Vec<(ContentKind, String)>> {
    let kinds: BTreeSet<ContentKind> = names.iter().map(|(kind, _)| *kind).collect();
    let known: BTreeMap<ContentKind, BTreeSet<String>> =
        kinds.into_iter().map(|kind| Ok((kind, existing(kind, None, docker)?))).collect::<Result<_>>()?;
    let is_missing = |(kind, name): &&(ContentKind, String)| !known[kind].contains(name);
    Ok(names.iter().filter(is_missing).cloned().collect())
}

/// Creates the versions that the swarm does not have yet. Passes the contents to docker on stdin.
///
/// # Errors
/// When docker fails.
pub(super) fn create(contents: &[Content], stack: &str, docker: &Docker) -> Result<()> {
    for kind in [ContentKind::Secret, ContentKind::Config] {
        let wanted: Vec<&Content> = contents.iter().filter(|content| content.kind == kind).collect();
        if wanted.is_empty() {
            continue;
        }
        let known = existing(kind, None, docker)?;
        for content in wanted.into_iter().filter(|content| !known.contains(&content.name)) {
            let labels = [format!("--label={NAMESPACE}={stack}"), format!("--label={LABEL}={}", content.key)];
            let cmd = docker.cmd([kind.name(), "create"]).args(labels).args([content.name.as_str(), "-"]);
            let created = cmd.stdin(content.bytes.0.clone()).read();
            created.with_context(|| format!("cannot create the {} {}", kind.name(), content.key))?;
        }
    }
    Ok(())
}

/// Removes old versions that a rollback does not need.
///
/// # Errors
/// When docker fails.
pub(super) fn remove_unused(
    stack: &str,
    services: &BTreeMap<String, RunningService>,
    docker: &Docker,
) -> Result<()> {
    let specs = services.values().flat_map(|service| service.previous_spec.iter().chain([&service.spec]));
    let used: BTreeSet<&str> = specs.flat_map(|spec| spec.task_template.contents()).collect();
    for kind in [ContentKind::Secret, ContentKind::Config] {
        let all = existing(kind, Some(stack), docker)?;
        let unused: Vec<&String> = all.iter().filter(|name| !used.contains(name.as_str())).collect();
        if !unused.is_empty() {
            docker.cmd([kind.name(), "rm"]).args(unused.into_iter().cloned()).read()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_content_of_each_swarm_has_its_own_name() {
        let name = |key: &str, text: &str, cluster: &str| {
            Content::new(ContentKind::Secret, key, text.into(), "p", cluster).name
        };
        let first = name("key", "one", "c");
        assert_eq!(first, name("key", "one", "c"));
        assert!(first.starts_with("p_key_") && first.len() == "p_key_".len() + HASH, "{first}");
        for other in [name("key", "two", "c"), name("key", "one", "d"), name("kez", "one", "c")] {
            assert_ne!(first, other);
        }
        assert_eq!(name(&"k".repeat(80), "one", "c").len(), LONGEST);
        let debug = format!("{:?}", Content::new(ContentKind::Secret, "k", b"s3same".to_vec(), "p", "c"));
        assert!(!debug.contains("s3same"), "{debug}");
    }
}
