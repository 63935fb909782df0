//! A service in a Compose project.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::compose::cluster::deploy::{ClusterDeploy, ResourceAmounts};
use crate::compose::cluster::mounts::{ClusterMount, ClusterPort};
use crate::compose::cluster::project::networks;
use crate::compose::cluster::unread::{Collector, Unread};
use crate::compose::cluster::values::{Hidden, or_default, text_or_number};

/// A Compose service. Durations and sizes are strings as Compose prints them, such as `1m30s` and `1073741824`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterService {
    /// The image reference; empty if the service has only a build.
    pub image: String,
    /// `OS/ARCHITECTURE`, if set.
    pub platform: Option<String>,
    /// Replaces the image's entrypoint and, unless empty, also its command.
    pub entrypoint: Option<Vec<Hidden>>,
    /// Replaces the image's command, unless empty.
    pub command: Option<Vec<Hidden>>,
    /// Replaces the image's working directory.
    pub working_dir: Option<String>,
    /// Variables by name; `None` for a variable that is taken from the user's environment but not set there.
    pub environment: BTreeMap<String, Option<Hidden>>,
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// Published ports.
    pub ports: Vec<ClusterPort>,
    /// Ports for other services: `PORT` or `PORT/PROTOCOL`.
    pub expose: Vec<String>,
    /// Mounts.
    pub volumes: Vec<ClusterMount>,
    /// Temporary folders in memory: `PATH` or `PATH:OPTIONS`.
    pub tmpfs: Vec<String>,
    /// Services whose volumes are also mounted.
    pub volumes_from: Vec<String>,
    /// `host`, `none`, `service:NAME`…, if set.
    pub network_mode: Option<String>,
    /// Networks by key.
    #[serde(deserialize_with = "networks")]
    pub networks: BTreeMap<String, ClusterNetworkUse>,
    /// Mounted configs.
    pub configs: Vec<ConfigUse>,
    /// Mounted secrets.
    pub secrets: Vec<ConfigUse>,
    /// Replaces or disables the image's health check.
    pub healthcheck: Option<ClusterHealthcheck>,
    /// Dependencies by service name.
    pub depends_on: BTreeMap<String, ClusterDependency>,
    /// `no`, `always`, `unless-stopped`, `on-failure[:N]`.
    pub restart: Option<String>,
    /// Replaces the image's user: `USER[:GROUP]`.
    pub user: Option<String>,
    /// Supplementary groups of the user.
    pub group_add: Vec<String>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Whether the container has extended privileges on the host.
    pub privileged: bool,
    /// Added capabilities.
    pub cap_add: Vec<String>,
    /// Removed capabilities.
    pub cap_drop: Vec<String>,
    /// `no-new-privileges:true`, `seccomp:…`, `apparmor:…`.
    pub security_opt: Vec<String>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Kernel resource limits.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// `NAME=ADDRESS`.
    pub extra_hosts: Vec<String>,
    /// DNS servers.
    pub dns: Vec<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// Options of the DNS resolver.
    pub dns_opt: Vec<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// The domain name.
    pub domainname: Option<String>,
    /// The container's name.
    pub container_name: Option<String>,
    /// Whether an init process reaps zombies.
    pub init: Option<bool>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether its standard input stays open.
    pub stdin_open: bool,
    /// `host`, `service:NAME`…
    pub pid: Option<String>,
    /// `host`, `shareable`…
    pub ipc: Option<String>,
    /// The user namespace.
    pub userns_mode: Option<String>,
    /// Device mappings.
    pub devices: Vec<serde_json::Value>,
    /// Bytes of `/dev/shm`.
    #[serde(deserialize_with = "text_or_number")]
    pub shm_size: Option<String>,
    /// Bytes; newer files use `deploy.resources`.
    #[serde(deserialize_with = "text_or_number")]
    pub mem_limit: Option<String>,
    /// Bytes; newer files use `deploy.resources`.
    #[serde(deserialize_with = "text_or_number")]
    pub mem_reservation: Option<String>,
    /// CPUs; newer files use `deploy.resources`.
    #[serde(deserialize_with = "text_or_number")]
    pub cpus: Option<String>,
    /// Processes; newer files use `deploy.resources`.
    #[serde(deserialize_with = "text_or_number")]
    pub pids_limit: Option<String>,
    /// Time between the stop signal and SIGKILL.
    pub stop_grace_period: Option<String>,
    /// The signal that stops it.
    pub stop_signal: Option<String>,
    /// The profiles that include it.
    pub profiles: Vec<String>,
    /// When Compose pulls the image.
    pub pull_policy: Option<String>,
    /// The log driver and its options.
    pub logging: Option<serde_json::Value>,
    /// Number of containers.
    pub scale: Option<u32>,
    /// Settings for clusters.
    #[serde(deserialize_with = "or_default")]
    pub deploy: ClusterDeploy,
    // Settings that only matter when Compose builds or runs in the foreground.
    build: IgnoredAny,
    attach: IgnoredAny,
    develop: IgnoredAny,
    #[serde(flatten)]
    other: Unread,
}

/// How a service uses a network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterNetworkUse {
    /// Additional names of the service on this network.
    pub aliases: Vec<String>,
    #[serde(flatten)]
    other: Unread,
}

/// How a service uses a config or a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigUse {
    /// Its key at the top level.
    pub source: String,
    /// The path in the container; a secret's is relative to `/run/secrets`.
    pub target: Option<String>,
    /// The file's owner.
    pub uid: Option<String>,
    /// The file's group.
    pub gid: Option<String>,
    /// Permission bits.
    pub mode: Option<u32>,
    #[serde(flatten)]
    other: Unread,
}

/// A health check. Durations are strings as Compose prints them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterHealthcheck {
    /// `CMD` and arguments, `CMD-SHELL` and a command line, or `NONE`; `None` for the image's command.
    pub test: Option<Vec<Hidden>>,
    /// Whether the health check is disabled.
    pub disable: bool,
    /// Time between checks.
    pub interval: Option<String>,
    /// Time after which a running check counts as failed.
    pub timeout: Option<String>,
    /// Consecutive failures that make the container unhealthy.
    pub retries: Option<u64>,
    /// Startup time during which failures do not count.
    pub start_period: Option<String>,
    /// Time between checks during the start period.
    pub start_interval: Option<String>,
    #[serde(flatten)]
    other: Unread,
}

/// A dependency of a service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterDependency {
    /// `service_started`, `service_healthy` or `service_completed_successfully`.
    pub condition: String,
    /// Whether the service restarts when the dependency does.
    pub restart: bool,
    // False if Compose may continue without it.
    required: IgnoredAny,
    #[serde(flatten)]
    other: Unread,
}

/// A kernel resource limit: one number for both limits, or two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Ulimit {
    /// Both limits.
    Single(i64),
    /// The soft and the hard limit.
    Pair {
        /// The process may raise it up to `hard`.
        soft: i64,
        /// The maximum.
        hard: i64,
    },
}

impl ClusterService {
    /// The number of containers (Compose Specification: `scale`, `deploy.replicas`).
    pub fn replicas(&self) -> u32 {
        self.scale.or(self.deploy.replicas).unwrap_or(1)
    }

    /// Upper limits from `deploy.resources.limits`, else from `mem_limit`, `cpus` and `pids_limit`.
    pub fn limits(&self) -> ResourceAmounts {
        let set = self.deploy.resources.limits.clone();
        ResourceAmounts {
            cpus: set.cpus.or_else(|| self.cpus.clone()),
            memory: set.memory.or_else(|| self.mem_limit.clone()),
            pids: set.pids.or_else(|| self.pids_limit.clone()),
            other: set.other,
        }
    }

    /// Reserved amounts from `deploy.resources.reservations`, else from `mem_reservation`.
    pub fn reservations(&self) -> ResourceAmounts {
        let set = self.deploy.resources.reservations.clone();
        ResourceAmounts { memory: set.memory.or_else(|| self.mem_reservation.clone()), ..set }
    }

    pub(super) fn collect_unread(&self, to: &mut Collector<'_>) {
        to.add("", &self.other);
        self.ports.iter().for_each(|port| to.add("ports", &port.other));
        for mount in &self.volumes {
            to.add("volumes", &mount.other);
            to.add("volumes.volume", &mount.volume.other);
            to.add("volumes.tmpfs", &mount.tmpfs.other);
        }
        for (name, network) in &self.networks {
            to.add(&format!("networks.{name}"), &network.other);
        }
        self.configs.iter().for_each(|config| to.add("configs", &config.other));
        self.secrets.iter().for_each(|secret| to.add("secrets", &secret.other));
        self.healthcheck.iter().for_each(|check| to.add("healthcheck", &check.other));
        for (name, dependency) in &self.depends_on {
            to.add(&format!("depends_on.{name}"), &dependency.other);
        }
        self.deploy.collect_unread(to);
    }
}
