//! Where the file systems of containers are mounted (proc_pid_mountinfo(5)).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The container's file system: overlayfs, with both of the engine's image stores.
const KIND: &str = "overlay";

/// How to recognise a container's mount point.
#[derive(Debug, Clone)]
pub(super) struct ContainerMount {
    /// The container's ID, which is part of the path with the containerd image store.
    pub(super) id: String,
    /// The mount point, as the engine shows it with the classic image store.
    pub(super) merged: Option<PathBuf>,
}

impl ContainerMount {
    /// Where its file system is mounted now.
    pub(super) fn found(&self) -> io::Result<Vec<PathBuf>> {
        Ok(self.found_in(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    fn found_in(&self, mountinfo: &str) -> Vec<PathBuf> {
        mountinfo.lines().filter_map(overlay).filter(|path| self.is_at(path)).collect()
    }

    fn is_at(&self, path: &Path) -> bool {
        self.merged.as_deref() == Some(path)
            || path.components().any(|part| part.as_os_str() == self.id.as_str())
    }
}

/// The mount point of a line, if an overlay is mounted there.
fn overlay(line: &str) -> Option<PathBuf> {
    let (mount, kind) = line.split_once(" - ")?;
    let path = mount.split(' ').nth(4)?;
    let is_overlay = kind.split(' ').next() == Some(KIND);
    is_overlay.then(|| PathBuf::from(path.replace("\\040", " ").replace("\\134", "\\")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_own_overlays_are_found() {
        let mountinfo = "125 42 0:85 / /var/lib/docker/overlay2/ee89/merged rw,relatime shared:8 - overlay overlay rw,lowerdir=a\n\
            126 42 0:86 / /var/lib/docker/overlay2/ff00/merged rw - overlay overlay rw\n\
            127 42 0:87 / /data\\040root/rootfs/overlayfs/c1 rw shared:9 master:1 - overlay overlay rw\n\
            128 42 0:88 / /run/c1/shm rw - tmpfs shm rw\nbroken\n";
        let found = |id: &str, merged: Option<&str>| {
            let merged = merged.map(PathBuf::from);
            ContainerMount { id: id.to_owned(), merged }.found_in(mountinfo)
        };
        let merged = "/var/lib/docker/overlay2/ee89/merged";
        assert_eq!(found("c0", Some(merged)), [PathBuf::from(merged)]);
        assert_eq!(found("c1", None), [PathBuf::from("/data root/rootfs/overlayfs/c1")]);
        assert!(found("c", Some("/var/lib/docker")).is_empty());
    }
}
