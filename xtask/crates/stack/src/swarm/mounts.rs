//! Mounts, and the node that holds a service's data.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::swarm::service::Conversion;
use engine::compose::cluster::{ClusterMount, ClusterService, ClusterVolume, tmpfs_size};

/// The constraint that keeps a service on a node.
pub(super) const NODE_IS: &str = "node.id==";

/// Values of the driver option `type` for network file systems, which any node can mount.
const NETWORK_FILE_SYSTEMS: [&str; 4] = ["nfs", "nfs4", "cifs", "sshfs"];

/// Where a service's data is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DataPlace {
    /// Whether it writes to files that outlive the container.
    pub(super) writes: bool,
    /// The node that holds the data; `None` if the service can run on any node, or the Compose file sets the node.
    pub(super) node: Option<String>,
}

/// A service's mounts in the stack file.
pub(super) fn convert(
    name: &str,
    compose: &ClusterService,
    conversion: &mut Conversion<'_>,
) -> (Vec<Value>, DataPlace) {
    let mut mounts = Vec::new();
    let (mut writes, mut local) = (false, BTreeSet::new());
    for mount in &compose.volumes {
        let source = mount.source.as_ref().map(|source| source.display().to_string());
        let target = &mount.target;
        match (mount.kind.as_str(), source) {
            ("tmpfs", _) => {
                mounts.push(tmpfs(target, mount.tmpfs.size.as_deref().and_then(|size| size.parse().ok())))
            }
            ("volume", None) => {
                let instead = "a new, empty volume for each container";
                conversion.note(name, "anonymous volumes", instead);
                mounts.push(json!({ "type": "volume", "target": target }));
            }
            ("volume", Some(source)) => {
                writes |= !mount.read_only;
                if conversion.input.project.volumes.get(&source).is_none_or(is_local) {
                    local.insert(format!("volume {source}"));
                }
                mounts.push(bound(mount, &source));
            }
            ("bind", Some(source)) => {
                writes |= !mount.read_only;
                local.insert(source.clone());
                mounts.push(bound(mount, &source));
            }
            (kind, _) => {
                let what = format!("volumes: Swarm does not support mounts of type `{kind}`");
                conversion.fault(name, what, "mount a named volume, a bind mount or tmpfs instead");
            }
        }
        if mount.kind == "tmpfs" && mount.tmpfs.mode.is_some() {
            conversion.note(name, "volumes.tmpfs.mode", "ignored; the folder is world-writable");
        }
        if mount.volume.subpath.is_some() {
            let help = "mount the whole volume, or split it";
            conversion.fault(name, format!("volumes: stack files do not support `subpath` ({target})"), help);
        }
    }
    for entry in &compose.tmpfs {
        let (path, size) = tmpfs_size(entry);
        mounts.push(tmpfs(path, size));
        let options = entry.split_once(':').map_or("", |(_, options)| options);
        if options.split(',').any(|option| !option.is_empty() && !option.starts_with("size=")) {
            conversion.note(name, "tmpfs options other than size", "ignored");
        }
    }
    if let Some(size) = &compose.shm_size {
        conversion.note(name, "shm_size", "a tmpfs of this size on /dev/shm");
        mounts.push(tmpfs("/dev/shm", size.parse().ok()));
    }
    let node = pinned(name, compose, &local, conversion);
    (mounts, DataPlace { writes, node })
}

fn tmpfs(target: &str, size: Option<u64>) -> Value {
    json!({ "type": "tmpfs", "target": target, "tmpfs": { "size": size } })
}

fn bound(mount: &ClusterMount, source: &str) -> Value {
    json!({
        "type": mount.kind,
        "source": source,
        "target": mount.target,
        "read_only": mount.read_only.then_some(true),
        "volume": { "nocopy": mount.volume.nocopy.then_some(true) },
    })
}

/// Whether each node has its own volume of this name.
fn is_local(volume: &ClusterVolume) -> bool {
    let kind = volume.driver_opts.get("type").and_then(Value::as_str).unwrap_or_default();
    volume.driver.as_deref().is_none_or(|driver| driver == "local") && !NETWORK_FILE_SYSTEMS.contains(&kind)
}

/// The node to pin a service to: its current pin, else the pin of another service with the same data, else this node.
fn pinned(
    name: &str,
    compose: &ClusterService,
    local: &BTreeSet<String>,
    conversion: &mut Conversion<'_>,
) -> Option<String> {
    if local.is_empty() {
        return None;
    }
    let data = local.iter().cloned().collect::<Vec<_>>().join(", ");
    if compose.deploy.mode.as_deref() == Some("global") {
        conversion.note(name, data, "each node uses its own");
        return None;
    }
    let of_node = |text: &String| {
        let text = text.replace(' ', "");
        text.starts_with(NODE_IS) || text.starts_with("node.hostname==")
    };
    if compose.deploy.placement.constraints.iter().any(of_node) {
        return None;
    }
    let input = conversion.input;
    let now = |service: &str| {
        let constraints = &input.running.get(service)?.spec.task_template.placement.constraints;
        constraints.iter().find_map(|text| text.strip_prefix(NODE_IS)).map(str::to_owned)
    };
    let shares = |other: &ClusterService| {
        let sources = other.volumes.iter().filter_map(|mount| mount.source.as_ref());
        let kinds = ["volume ", ""];
        sources
            .flat_map(|source| kinds.map(|kind| format!("{kind}{}", source.display())))
            .any(|text| local.contains(&text))
    };
    let others =
        || input.project.services.iter().filter(|(_, other)| shares(other)).find_map(|(other, _)| now(other));
    let Some(node) = now(name).or_else(others) else {
        let instead = format!(
            "local to a node; the service is pinned to {}",
            input.cluster.name_of(&input.cluster.node)
        );
        conversion.note(name, data, instead);
        return Some(input.cluster.node.clone());
    };
    if input.cluster.node(&node).is_none() {
        let what = format!("its data ({data}) is on the node {node}, which has left the swarm");
        let help =
            format!("move the data, then set `deploy.placement.constraints` of {name} to `node.id==ID`");
        conversion.fault(name, what, help);
    }
    Some(node)
}
