//! Volumes, `tmpfs` mounts, configs and secrets.

use std::collections::{BTreeMap, BTreeSet};

use crate::kubernetes::amounts;
use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::names;
use crate::kubernetes::plan::{Claim, Mount, MountSource, Workload, WorkloadKind};
use engine::compose::cluster::{ClusterMount, ClusterProject, ClusterService, ConfigUse, tmpfs_size};

/// The number of services that mount each named volume.
pub(super) fn volume_users(project: &ClusterProject) -> BTreeMap<String, usize> {
    let mut users = BTreeMap::new();
    for service in project.services.values() {
        let named = service.volumes.iter().filter(|mount| mount.kind == "volume");
        let keys: BTreeSet<String> = named.filter_map(source).collect();
        for key in keys {
            *users.entry(key).or_default() += 1;
        }
    }
    users
}

fn source(mount: &ClusterMount) -> Option<String> {
    mount.source.as_ref().map(|source| source.display().to_string())
}

/// The mounts of one workload.
pub(super) struct Mounting<'a> {
    pub(super) project: &'a ClusterProject,
    pub(super) users: &'a BTreeMap<String, usize>,
    pub(super) gaps: &'a mut Gaps,
    /// PersistentVolumeClaims outside of StatefulSets.
    pub(super) shared: &'a mut Vec<Claim>,
}

impl Mounting<'_> {
    /// Adds a service's mounts. `image` holds the volumes declared in its image.
    pub(super) fn set(&mut self, workload: &mut Workload, service: &ClusterService, image: &[String]) {
        for mount in &service.volumes {
            match mount.kind.as_str() {
                "volume" => self.volume(workload, mount),
                "tmpfs" => {
                    let size = mount.tmpfs.size.as_deref().and_then(|size| size.parse().ok());
                    temporary(workload, &mount.target, true, size);
                }
                "bind" => self.bind(workload, mount),
                kind => self.gaps.add(&workload.service, format!("mount of type {kind}"), "not mounted"),
            }
        }
        for entry in &service.tmpfs {
            let (path, size) = tmpfs_size(entry);
            temporary(workload, path, true, size);
        }
        if let Some(size) = service.shm_size.as_deref().and_then(|size| size.parse().ok()) {
            temporary(workload, "/dev/shm", true, Some(size));
        }
        // Docker makes these writable even if the root file system is read-only.
        for path in image {
            if !workload
                .mounts
                .iter()
                .any(|mount| mount.path.trim_end_matches('/') == path.trim_end_matches('/'))
            {
                temporary(workload, path, false, None);
                let what = format!("the image's volume {path}");
                self.gaps.add(&workload.service, what, "an emptyDir, deleted with the pod");
            }
        }
        for used in &service.configs {
            let target = used.target.clone().unwrap_or_else(|| format!("/{}", used.source));
            self.file(workload, "config", used, &target);
        }
        for used in &service.secrets {
            let target = used.target.as_deref().unwrap_or(&used.source);
            let target =
                if target.starts_with('/') { target.to_owned() } else { format!("/run/secrets/{target}") };
            self.file(workload, "secret", used, &target);
        }
        let owned = service
            .configs
            .iter()
            .chain(&service.secrets)
            .any(|used| used.uid.is_some() || used.gid.is_some());
        if owned {
            self.gaps.add(
                &workload.service,
                "uid and gid of configs and secrets",
                "root owns them; the pod's group may read them",
            );
        }
    }

    fn volume(&mut self, workload: &mut Workload, mount: &ClusterMount) {
        let service = workload.service.clone();
        let Some(key) = source(mount) else {
            temporary(workload, &mount.target, false, None);
            let what = format!("anonymous volume at {}", mount.target);
            return self.gaps.add(&service, what, "an emptyDir, deleted with the pod");
        };
        let volume = self.project.volumes.get(&key).cloned().unwrap_or_default();
        let name = names::label(&key);
        if volume.driver.as_deref().is_some_and(|driver| driver != "local") || !volume.driver_opts.is_empty()
        {
            self.gaps.add(&service, format!("driver of volume {key}"), "the cluster's default storage class");
        }
        let is_single = self.users.get(&key) == Some(&1) && workload.kind != WorkloadKind::Job;
        let source = if volume.external {
            self.gaps.add(&service, format!("external volume {key}"), format!("the claim {name} must exist"));
            MountSource::Claim(name.clone())
        } else if is_single {
            workload.kind = WorkloadKind::StatefulSet;
            if !workload.claims.iter().any(|claim| claim.name == name) {
                workload.claims.push(Claim { name: name.clone(), shared: false });
            }
            if workload.replicas > 1 {
                self.gaps.add(
                    &service,
                    format!("volume {key} of several replicas"),
                    "each replica gets a separate volume",
                );
            }
            MountSource::Template
        } else {
            let shared = self.users.get(&key).is_some_and(|users| *users > 1);
            let claim = Claim { name: name.clone(), shared };
            if !self.shared.contains(&claim) {
                self.shared.push(claim);
            }
            if shared {
                let what = format!("volume {key} of several services");
                self.gaps.add(&service, what, "needs a storage class with ReadWriteMany");
            }
            MountSource::Claim(name.clone())
        };
        let sub_path = mount.volume.subpath.clone();
        let (path, read_only) = (mount.target.clone(), mount.read_only);
        workload.mounts.push(Mount { volume: name, path, read_only, sub_path, source });
    }

    /// Mounts the only file of a ConfigMap or Secret.
    fn file(&mut self, workload: &mut Workload, kind: &str, used: &ConfigUse, target: &str) {
        let declared = if kind == "config" { &self.project.configs } else { &self.project.secrets };
        let mut name = object_name(kind, &used.source);
        if let Some(external) = declared.get(&used.source).filter(|declared| declared.external) {
            name = names::label(&external.name);
            let what = format!("external {kind} {}", used.source);
            let key = super::tree::FILE_KEY;
            self.gaps.add(
                &workload.service,
                what,
                format!("the object {name} with the key `{key}` must exist"),
            );
        }
        let (volume, mode) = (name.clone(), used.mode);
        let source = match kind {
            "config" => MountSource::Config { name, mode },
            _ => MountSource::Secret { name, mode },
        };
        let sub_path = Some(super::tree::FILE_KEY.to_owned());
        workload.mounts.push(Mount { volume, path: target.to_owned(), read_only: true, sub_path, source });
    }

    /// Nodes do not have this machine's files.
    fn bind(&mut self, workload: &mut Workload, mount: &ClusterMount) {
        let what = format!("bind mount at {}", mount.target);
        let is_file = mount.source.as_ref().is_some_and(|source| source.is_file());
        if mount.read_only || is_file || mount.target.ends_with(".sock") {
            return self.gaps.add(&workload.service, what, "not mounted");
        }
        temporary(workload, &mount.target, false, None);
        self.gaps.add(&workload.service, what, "an emptyDir, deleted with the pod");
    }
}

/// Adds an `emptyDir`, unless something is already mounted at `path`.
fn temporary(workload: &mut Workload, path: &str, memory: bool, bytes: Option<u64>) {
    let is_same = |mount: &Mount| mount.path.trim_end_matches('/') == path.trim_end_matches('/');
    if workload.mounts.iter().any(is_same) {
        return;
    }
    let name = names::label(&format!("temporary-{}", names::label(path)));
    let is_taken = |name: &String| workload.mounts.iter().any(|mount| mount.volume == *name);
    let numbered = (2_usize..).map(|number| format!("temporary-{number}"));
    let volume = std::iter::once(name).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default();
    let source = MountSource::Temporary { memory, size: bytes.map(amounts::memory) };
    workload.mounts.push(Mount { volume, path: path.to_owned(), read_only: false, sub_path: None, source });
}

/// The name of the ConfigMap or Secret for a config or secret of the Compose file.
pub(super) fn object_name(kind: &str, key: &str) -> String {
    names::label(&format!("{kind}-{key}"))
}
