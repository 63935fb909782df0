//! The `deploy` section of a service.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::compose::cluster::unread::{Collector, Unread};
use crate::compose::cluster::values::text_or_number;

/// `deploy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterDeploy {
    /// `replicated`, `global`, `replicated-job` or `global-job`.
    pub mode: Option<String>,
    /// Number of containers.
    pub replicas: Option<u32>,
    /// Labels of the service.
    pub labels: BTreeMap<String, String>,
    /// `vip` or `dnsrr`.
    pub endpoint_mode: Option<String>,
    /// Limits and reservations.
    pub resources: ClusterResources,
    /// How containers are replaced.
    pub update_config: Option<ClusterUpdate>,
    /// How a failed update is undone.
    pub rollback_config: Option<ClusterUpdate>,
    /// When containers are restarted.
    pub restart_policy: Option<ClusterRestart>,
    /// Where containers run.
    pub placement: ClusterPlacement,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// `deploy.resources`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterResources {
    /// Upper limits.
    pub limits: ResourceAmounts,
    /// Resources that the node must have free.
    pub reservations: ResourceAmounts,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// Resource amounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResourceAmounts {
    /// CPUs, such as `0.5`.
    #[serde(deserialize_with = "text_or_number")]
    pub cpus: Option<String>,
    /// Bytes.
    #[serde(deserialize_with = "text_or_number")]
    pub memory: Option<String>,
    /// Processes.
    #[serde(deserialize_with = "text_or_number")]
    pub pids: Option<String>,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// `deploy.update_config` and `deploy.rollback_config`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterUpdate {
    /// Containers per batch; 0 for all.
    pub parallelism: Option<u64>,
    /// Delay between batches.
    pub delay: Option<String>,
    /// `continue`, `pause` or `rollback`.
    pub failure_action: Option<String>,
    /// How long a new container is monitored for failure.
    pub monitor: Option<String>,
    /// The tolerated failure ratio.
    #[serde(deserialize_with = "text_or_number")]
    pub max_failure_ratio: Option<String>,
    /// `stop-first` or `start-first`.
    pub order: Option<String>,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// `deploy.restart_policy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterRestart {
    /// `none`, `on-failure` or `any`.
    pub condition: Option<String>,
    /// Delay between attempts.
    pub delay: Option<String>,
    /// Attempts before giving up.
    pub max_attempts: Option<u64>,
    /// How long to wait before an attempt counts as successful.
    pub window: Option<String>,
    #[serde(flatten)]
    pub(super) other: Unread,
}

/// `deploy.placement`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ClusterPlacement {
    /// Constraints such as `node.role == manager`.
    pub constraints: Vec<String>,
    /// Preferences such as `{"spread": "node.labels.zone"}`.
    pub preferences: Vec<BTreeMap<String, String>>,
    /// Maximum containers of the service per node.
    pub max_replicas_per_node: Option<u64>,
    #[serde(flatten)]
    pub(super) other: Unread,
}

impl ClusterDeploy {
    pub(super) fn collect_unread(&self, to: &mut Collector<'_>) {
        to.add("deploy", &self.other);
        to.add("deploy.resources", &self.resources.other);
        to.add("deploy.resources.limits", &self.resources.limits.other);
        to.add("deploy.resources.reservations", &self.resources.reservations.other);
        self.update_config.iter().for_each(|update| to.add("deploy.update_config", &update.other));
        self.rollback_config.iter().for_each(|update| to.add("deploy.rollback_config", &update.other));
        self.restart_policy.iter().for_each(|policy| to.add("deploy.restart_policy", &policy.other));
        to.add("deploy.placement", &self.placement.other);
    }
}
