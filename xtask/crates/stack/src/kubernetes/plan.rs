//! The plan of a stack, from which its objects are generated.

use std::collections::BTreeMap;

use engine::compose::cluster::Hidden;

use crate::kubernetes::gaps::Gap;
use host::secrets::Secrets;

/// A stack for Kubernetes.
#[derive(Debug)]
pub struct KubernetesPlan {
    /// The project's name as a label.
    pub project: String,
    /// Sorted by service name in the Compose file.
    pub workloads: Vec<Workload>,
    /// PersistentVolumeClaims outside of StatefulSets.
    pub claims: Vec<Claim>,
    /// Non-secret files mounted into pods.
    pub configs: Vec<MountedFile>,
    /// Secrets mounted into pods as files.
    pub secret_files: Vec<MountedFile>,
    /// Compose settings without a Kubernetes equivalent.
    pub gaps: Vec<Gap>,
}

impl KubernetesPlan {
    /// Masks the values of all Secrets in further output.
    pub fn mask(&self, secrets: &Secrets) {
        let values = self.workloads.iter().flat_map(|workload| workload.secret_environment.values());
        values.for_each(|value| secrets.add(value.reveal()));
        self.secret_files.iter().for_each(|file| secrets.add(&String::from_utf8_lossy(&file.content.0)));
    }
}

/// A service of the Compose file.
#[derive(Debug, Default)]
pub struct Workload {
    /// Its name on Kubernetes.
    pub name: String,
    /// Its name in the Compose file.
    pub service: String,
    /// The kind of its object.
    pub kind: WorkloadKind,
    /// Number of pods.
    pub replicas: u32,
    /// How pods are replaced.
    pub rollout: Rollout,
    /// Replaces the image's entrypoint.
    pub command: Option<Vec<String>>,
    /// Replaces the image's command.
    pub args: Option<Vec<String>>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// Non-secret variables.
    pub environment: BTreeMap<String, String>,
    /// Variables that are, or may be, secret.
    pub secret_environment: BTreeMap<String, Hidden>,
    /// The container's ports.
    pub ports: Vec<Port>,
    /// Ports that Compose publishes on all addresses: the published number and the container's port.
    pub published: Vec<(u16, Port)>,
    /// Additional Service names.
    pub aliases: Vec<String>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Claim templates of a StatefulSet.
    pub claims: Vec<Claim>,
    /// Its health check.
    pub probe: Option<HealthProbe>,
    /// Its security context.
    pub security: Security,
    /// Limits by resource.
    pub limits: BTreeMap<String, String>,
    /// Requests by resource.
    pub requests: BTreeMap<String, String>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Host names by address.
    pub host_aliases: BTreeMap<String, Vec<String>>,
    /// The pod's host name.
    pub hostname: Option<String>,
    /// Seconds between SIGTERM and SIGKILL.
    pub grace_seconds: Option<i64>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether standard input stays open.
    pub stdin: bool,
    /// Workloads that may reach it.
    pub peers: Vec<String>,
    /// Whether it may reach only its peers and DNS.
    pub internal: bool,
}

/// The kind of a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Interchangeable pods.
    #[default]
    Deployment,
    /// Pods with separate volumes.
    StatefulSet,
    /// Runs once.
    Job,
}

impl WorkloadKind {
    /// The kind in Kubernetes.
    pub fn name(self) -> &'static str {
        match self {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::StatefulSet => "StatefulSet",
            WorkloadKind::Job => "Job",
        }
    }
}

/// How a Deployment replaces its pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rollout {
    /// Whether an old pod stops before its successor starts.
    pub stop_first: bool,
    /// Pods at a time; 0 for all.
    pub parallelism: u32,
    /// Seconds a new pod must be ready before the next one is replaced.
    pub delay_seconds: u32,
}

/// A port of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Its name, unique in the container.
    pub name: String,
    /// The application's protocol.
    pub app_protocol: Option<String>,
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name in the pod.
    pub volume: String,
    /// The path in the container.
    pub path: String,
    /// Whether it is read-only.
    pub read_only: bool,
    /// The folder or file in the volume.
    pub sub_path: Option<String>,
    /// What is mounted.
    pub source: MountSource,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A claim template, see [`Workload::claims`].
    Template,
    /// A PersistentVolumeClaim.
    Claim(String),
    /// An `emptyDir`, in memory or on the node's disk.
    Temporary {
        /// Whether it is in memory.
        memory: bool,
        /// The maximum size, a Kubernetes quantity.
        size: Option<String>,
    },
    /// A file of a ConfigMap.
    Config {
        /// The ConfigMap.
        name: String,
        /// Permission bits.
        mode: Option<u32>,
    },
    /// A file of a Secret.
    Secret {
        /// The Secret.
        name: String,
        /// Permission bits.
        mode: Option<u32>,
    },
}

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Whether pods of several services use it (`ReadWriteMany`).
    pub shared: bool,
}

/// A file mounted into pods: the key `file` of a ConfigMap or Secret.
#[derive(Debug, Clone)]
pub struct MountedFile {
    /// The object's name.
    pub name: String,
    /// The content.
    pub content: FileContent,
}

/// The content of a [`MountedFile`].
#[derive(Clone)]
pub struct FileContent(pub Vec<u8>);

impl std::fmt::Debug for FileContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthProbe {
    /// What it checks.
    pub check: HealthCheck,
    /// Seconds between checks.
    pub interval: u32,
    /// Seconds until a check times out.
    pub timeout: u32,
    /// Consecutive failures until the pod is unready.
    pub retries: u32,
    /// Seconds after the start in which failures do not count.
    pub start_period: u32,
}

/// What a [`HealthProbe`] checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// A GET request that is answered with 2xx or 3xx.
    Http {
        /// The path.
        path: String,
        /// The container's port.
        port: u16,
    },
    /// A command in the container that exits with status 0.
    Command(Vec<String>),
}

/// The security context of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// The UID; `None` for the image's user.
    pub user: Option<i64>,
    /// The GID.
    pub group: Option<i64>,
    /// Whether the kubelet refuses to run it as root (`runAsNonRoot`).
    pub non_root: bool,
    /// GIDs of supplementary groups.
    pub groups: Vec<i64>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Added capabilities.
    pub add: Vec<String>,
    /// Dropped capabilities.
    pub drop: Vec<String>,
    /// Sysctls that Kubernetes allows by default.
    pub sysctls: BTreeMap<String, String>,
}
