//! The files opened in a container's file system, as reported by fanotify(7).

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use crate::trace::mounts::ContainerMount;
use host::failure::Failure;

/// What the kernel appends to the path of a file that was deleted after it was opened.
const DELETED: &str = " (deleted)";

/// What happened to a file since the last [`Opens::take`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FileOpens {
    /// Whether it was read with read(2).
    pub(super) read: bool,
    /// Whether the container's first process executed it.
    pub(super) by_first: bool,
}

/// Collects what is opened in one container.
pub(super) struct Opens {
    group: Fanotify,
    mount: ContainerMount,
    /// The mount points that are watched.
    watched: Mutex<Vec<PathBuf>>,
}

impl Opens {
    /// Not watching anything yet.
    pub(super) fn new(mount: ContainerMount) -> Result<Opens> {
        // Unlimited queue: its entries are small, and one lost event would spoil the whole trace.
        let flags = InitFlags::FAN_CLASS_NOTIF
            | InitFlags::FAN_UNLIMITED_QUEUE
            | InitFlags::FAN_NONBLOCK
            | InitFlags::FAN_CLOEXEC;
        Ok(Opens { group: group(flags)?, mount, watched: Mutex::default() })
    }

    /// Watches the container's file system as soon as it is mounted.
    pub(super) fn watch(&self) -> Result<()> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        for path in self.mount.found().context("cannot read /proc/self/mountinfo")? {
            if watched.contains(&path) {
                continue;
            }
            // The whole file system: the container has its own mount in another namespace.
            let flags = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
            let events = MaskFlags::FAN_OPEN | MaskFlags::FAN_OPEN_EXEC | MaskFlags::FAN_ACCESS;
            let marked = self.group.mark(flags, events, AT_FDCWD, Some(&path));
            marked.map_err(|error| unsupported("cannot watch the container's file system", error))?;
            watched.push(path);
        }
        Ok(())
    }

    /// Whether it watches the container's file system.
    pub(super) fn is_watching(&self) -> bool {
        !self.watched.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The files that were opened since the last call, by path from the container's root without a leading slash. `first` is the
    /// ID of the container's first process.
    ///
    /// # Errors
    /// When the kernel dropped events.
    pub(super) fn take(&self, first: u32) -> Result<BTreeMap<String, FileOpens>> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: BTreeMap<String, FileOpens> = BTreeMap::new();
        loop {
            let events = match self.group.read_events() {
                Err(Errno::EAGAIN) => return Ok(found),
                Err(Errno::EINTR) => continue,
                events => events.context("cannot read what the container opened")?,
            };
            for event in &events {
                let Some(fd) = event.fd() else { return Err(lost().into()) };
                let path = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
                let path = path.context("cannot tell which file the container opened")?;
                let mask = event.mask();
                let opens = found.entry(inside(&path, &watched)).or_default();
                opens.read |= mask.contains(MaskFlags::FAN_ACCESS);
                opens.by_first |= mask.contains(MaskFlags::FAN_OPEN_EXEC)
                    && u32::try_from(event.pid()).is_ok_and(|id| id == first);
            }
        }
    }
}

/// A path from the container's root. The runtime's own opens, before it changes the root, begin with the mount point.
fn inside(path: &Path, watched: &[PathBuf]) -> String {
    let path = watched.iter().find_map(|mount| path.strip_prefix(mount).ok()).unwrap_or(path);
    let path = path.to_string_lossy();
    path.strip_suffix(DELETED).unwrap_or(&path).trim_matches('/').to_owned()
}

fn lost() -> Failure {
    Failure::machine(
        "the kernel dropped events of fanotify: the trace is incomplete",
        "run it again when less is running on this machine",
    )
}

/// A fanotify group. Its events carry files opened for reading.
pub(super) fn group(flags: InitFlags) -> Result<Fanotify, Failure> {
    let files = EventFFlags::O_RDONLY | EventFFlags::O_LARGEFILE | EventFFlags::O_CLOEXEC;
    Fanotify::init(flags, files).map_err(|error| unsupported("cannot use fanotify", error))
}

/// The failure for an error of fanotify.
pub(super) fn unsupported(what: &str, error: Errno) -> Failure {
    let remedy = match error {
        Errno::EPERM => "run it as root (CAP_SYS_ADMIN), outside of containers and user namespaces",
        Errno::ENOSYS | Errno::EINVAL => {
            "use a kernel with CONFIG_FANOTIFY and CONFIG_FANOTIFY_ACCESS_PERMISSIONS, version 5.1 or newer"
        }
        _ => "",
    };
    Failure::machine(format!("{what}: {}", error.desc()), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_containers_root() {
        let watched = [PathBuf::from("/data/c1/merged")];
        let inside = |path: &str| inside(Path::new(path), &watched);
        assert_eq!(inside("/usr/bin/x"), "usr/bin/x");
        assert_eq!(inside("/data/c1/merged/etc/passwd"), "etc/passwd");
        assert_eq!(inside("/tmp/x (deleted)"), "tmp/x");
    }
}
