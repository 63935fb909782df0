//! Copies of host files that a stack may write to. They are volumes with the project's label, so they are removed with the stack.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use engine::compose::{ComposeConfig, ComposeMount};
use engine::context::Context;
use engine::host_path::{CopyLimit, HostPath};
use engine::labels;
use host::failure::{Failure, FailureClass};
use host::files;
use model::bytes::Bytes;

/// How much one stack copies.
const LIMIT: CopyLimit = CopyLimit { bytes: 1_000_000_000, entries: 200_000 };

/// By the path on the engine's host.
#[derive(Debug, Clone, Default)]
pub(super) struct MountCopies(BTreeMap<PathBuf, MountCopy>);

/// A volume with the copy of a folder or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MountCopy {
    /// The volume's key in the override file.
    pub(super) key: String,
    /// The volume's name in the engine.
    pub(super) volume: String,
    /// Whether the volume holds a single file, named [`engine::host_path::COPY`].
    pub(super) is_file: bool,
}

/// The stack that the copies belong to.
#[derive(Debug)]
pub(super) struct CopyOwner<'a> {
    pub(super) name: &'a str,
    /// A folder for archives.
    pub(super) folder: &'a Path,
    pub(super) labels: &'a [(String, String)],
}

impl MountCopies {
    /// Copies every path on the engine's host that a service can write to, except `record`, which is replaced by another folder. A
    /// missing path becomes an empty folder, as Docker would create it.
    pub(super) fn make(
        configuration: &ComposeConfig,
        record: &Path,
        owner: &CopyOwner<'_>,
        context: &Context,
    ) -> Result<MountCopies> {
        let sources = writable(configuration, record);
        let archive = owner.folder.join("copy.tar");
        let mut labels = owner.labels.to_vec();
        labels.push((labels::COMPOSE_PROJECT.to_owned(), owner.name.to_owned()));
        let (mut copies, mut refused, mut limit) = (BTreeMap::new(), Vec::new(), LIMIT);
        for (position, source) in sources.into_iter().enumerate() {
            let path = source.display().to_string();
            let shown = source.strip_prefix(context.repository.root()).unwrap_or(&source).display();
            context.terminal.say(format!("copying {shown}, which the stack may write to …"));
            let docker = &context.docker;
            let what = || format!("cannot copy {path}");
            let found = docker.pack_host_path(&path, &labels, &mut limit, &archive).with_context(what)?;
            if let Some(reason) = reason(found) {
                refused.push(format!("{path} {reason}"));
                continue;
            }
            let key = format!("throwaway-copy-{}", position + 1);
            let volume = format!("{}_{key}", owner.name);
            docker.create_volume(&volume, &labels)?;
            let is_file = found == HostPath::File;
            if found != HostPath::Missing {
                docker.unpack_into_volume(&archive, !is_file, &volume, &labels).with_context(what)?;
            }
            copies.insert(source, MountCopy { key, volume, is_file });
        }
        files::remove(&archive)?;
        if refused.is_empty() {
            return Ok(MountCopies(copies));
        }
        let what = format!("cannot keep the stack away from what it may write to: {}", refused.join("; "));
        let remedy = "mount it read-only, or use a named volume";
        Err(Failure::new(FailureClass::Failed, what, remedy).into())
    }

    /// The copy that replaces a mount.
    pub(super) fn of(&self, mount: &ComposeMount) -> Option<&MountCopy> {
        if mount.kind == "bind" { self.0.get(&mount.source) } else { None }
    }

    /// All copies.
    pub(super) fn all(&self) -> impl Iterator<Item = &MountCopy> {
        self.0.values()
    }
}

/// The paths on the engine's host that a service can write to, except `record`.
pub(super) fn writable(configuration: &ComposeConfig, record: &Path) -> BTreeSet<PathBuf> {
    let mounts = configuration.services.values().flat_map(|service| &service.volumes);
    let writable = mounts.filter(|mount| mount.kind == "bind" && !mount.read_only && mount.source != record);
    writable.map(|mount| mount.source.clone()).collect()
}

/// Why something cannot be copied.
fn reason(found: HostPath) -> Option<String> {
    match found {
        HostPath::Missing | HostPath::Folder | HostPath::File => None,
        HostPath::Socket => Some("is a socket".to_owned()),
        HostPath::Pipe => Some("is a pipe".to_owned()),
        HostPath::Device => Some("is or contains a device".to_owned()),
        HostPath::TooLarge => Some(format!(
            "is too large: one stack copies at most {} and {} files",
            Bytes(LIMIT.bytes),
            LIMIT.entries
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_writable_paths_of_the_host_are_copied_each_once() {
        let text = r#"{"services":{
            "a":{"volumes":[{"type":"bind","source":"/r/data","target":"/data"},
                {"type":"bind","source":"/r/conf","target":"/conf","read_only":true},
                {"type":"bind","source":"/r/deployed","target":"/deployed"},
                {"type":"volume","source":"v","target":"/v"},{"type":"tmpfs","target":"/tmp"}]},
            "b":{"volumes":[{"type":"bind","source":"/r/data","target":"/other"}]}}}"#;
        let configuration: ComposeConfig = serde_json::from_str(text).unwrap();
        let found = writable(&configuration, Path::new("/r/deployed"));
        assert_eq!(found, BTreeSet::from([PathBuf::from("/r/data")]));
        let copy = MountCopy { key: "k".into(), volume: "v".into(), is_file: false };
        let copies = MountCopies(BTreeMap::from([("/r/data".into(), copy)]));
        let replaced = |service: &str| -> Vec<&str> {
            let mounts = configuration.services[service].volumes.iter();
            mounts.filter(|mount| copies.of(mount).is_some()).map(|mount| mount.target.as_str()).collect()
        };
        assert_eq!((replaced("a"), replaced("b")), (vec!["/data"], vec!["/other"]));
    }
}
