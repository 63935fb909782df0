//! A Compose project for clusters: everything in the output of `docker compose config` that Swarm or Kubernetes can express, and the names
//! of all other keys, so that a writer can report what it omits.

mod deploy;
mod mounts;
mod project;
mod service;
mod unread;
mod values;

pub use deploy::{
    ClusterDeploy, ClusterPlacement, ClusterResources, ClusterRestart, ClusterUpdate, ResourceAmounts,
};
pub use mounts::{ClusterMount, ClusterPort, TmpfsMount, VolumeUse};
pub use project::{ClusterNetwork, ClusterProject, ClusterVolume, ConfigFile};
pub use service::{
    ClusterDependency, ClusterHealthcheck, ClusterNetworkUse, ClusterService, ConfigUse, Ulimit,
};
pub use unread::{Unread, UnreadKey};
pub use values::{Hidden, duration, tmpfs_size};

#[cfg(test)]
mod tests;
