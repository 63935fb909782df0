//! The objects of a stack as data.

use std::collections::BTreeMap;

use engine::compose::cluster::Hidden;

use crate::kubernetes::gaps::Gap;
use host::secrets::Secrets;

/// What is written for a stack.
#[derive(Debug)]
pub struct KubernetesPlan {
    /// The project's name as a label.
    pub project: String,
    /// In the Compose file's order by name.
    pub workloads: Vec<Workload>,
    /// Volumes of several workloads.
    pub claims: Vec<Claim>,
    /// Files that pods mount and that hold no secrets.
    pub configs: Vec<MountedFile>,
    /// Secrets that pods mount as files.
    pub secret_files: Vec<MountedFile>,
    /// What Kubernetes cannot express.
    pub gaps: Vec<Gap>,
}

impl KubernetesPlan {
    /// Masks the values of all Secrets in output from now on.
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
    /// What runs it.
    pub kind: WorkloadKind,
    /// Pods.
    pub replicas: u32,
    /// How pods are replaced; `None` for Kubernetes' default.
    pub rollout: Rollout,
    /// Replaces the image's entrypoint.
    pub command: Option<Vec<String>>,
    /// Replaces the image's command.
    pub args: Option<Vec<String>>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// Values that are no secrets.
    pub environment: BTreeMap<String, String>,
    /// Values that are, or may be, secrets.
    pub secret_environment: BTreeMap<String, Hidden>,
    /// The container's ports.
    pub ports: Vec<Port>,
    /// Ports that Compose publishes on all addresses: the published one and the name of the container's.
    pub published: Vec<(u16, Port)>,
    /// More names of its Service.
    pub aliases: Vec<String>,
    /// Its volumes and where they are mounted.
    pub mounts: Vec<Mount>,
    /// Volumes of its own.
    pub claims: Vec<Claim>,
    /// Its health check.
    pub probe: Option<HealthProbe>,
    /// How it is confined.
    pub security: Security,
    /// Upper limits by resource.
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
    /// Whether it may only reach its peers.
    pub internal: bool,
}

/// What runs a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Any number of equal pods.
    #[default]
    Deployment,
    /// Pods with volumes of their own.
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
    /// Seconds that a new pod must be ready before the next one follows.
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

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The volume's name in the pod.
    pub volume: String,
    /// The path in the container.
    pub path: String,
    /// Whether the container cannot write there.
    pub read_only: bool,
    /// The folder or file in the volume.
    pub sub_path: Option<String>,
    /// What is mounted.
    pub source: MountSource,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A volume of the workload, see [`Workload::claims`].
    Template,
    /// A claim.
    Claim(String),
    /// A temporary folder, in memory or on the node's disk.
    Temporary {
        /// Whether it is in memory.
        memory: bool,
        /// The maximum size, as Kubernetes writes it.
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

/// A claim of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Its name.
    pub name: String,
    /// Whether pods on several nodes use it at once.
    pub shared: bool,
}

/// A file for pods, in an object of the same name with the key `file`.
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
    /// What is asked.
    pub check: HealthCheck,
    /// Seconds between two checks.
    pub interval: u32,
    /// Seconds until a check has failed.
    pub timeout: u32,
    /// Failures in a row.
    pub retries: u32,
    /// Seconds within which failures do not count.
    pub start_period: u32,
}

/// What a [`HealthProbe`] asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// A path that answers 2xx or 3xx.
    Http {
        /// The path.
        path: String,
        /// The container's port.
        port: u16,
    },
    /// A command in the container that exits with 0.
    Command(Vec<String>),
}

/// How a pod is confined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Security {
    /// The user's number; `None` for the image's.
    pub user: Option<i64>,
    /// The group's number.
    pub group: Option<i64>,
    /// Whether the kubelet refuses root.
    pub non_root: bool,
    /// More groups.
    pub groups: Vec<i64>,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Added capabilities.
    pub add: Vec<String>,
    /// Removed capabilities.
    pub drop: Vec<String>,
    /// Kernel settings that every cluster allows.
    pub sysctls: BTreeMap<String, String>,
}
