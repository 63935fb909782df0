//! The swarm behind the current docker context: its nodes and a stack's services, as docker prints them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use engine::docker::Docker;
use host::failure::{Failure, FailureClass};

/// The label on every object of a stack (docker/cli, `convert.LabelNamespace`).
pub(super) const NAMESPACE: &str = "com.docker.stack.namespace";

/// A swarm, seen from one of its managers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Identifies the swarm.
    pub id: String,
    /// The node ID of the current engine.
    pub node: String,
    /// All nodes.
    pub nodes: Vec<Node>,
}

/// A node of a swarm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Node {
    /// The ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The host name; not necessarily unique.
    pub hostname: String,
    /// `Ready`, `Down`, `Disconnected` or `Unknown`.
    pub status: String,
    /// `Active`, `Pause` or `Drain`.
    pub availability: String,
}

impl Node {
    /// The host name and the start of the ID.
    pub fn name(&self) -> String {
        format!("{} ({})", self.hostname, short(&self.id))
    }

    /// Whether the node is up.
    pub fn is_ready(&self) -> bool {
        self.status == "Ready"
    }
}

/// The start of an ID, as docker shortens it.
pub(super) fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

impl Cluster {
    /// The swarm that the engine manages.
    ///
    /// # Errors
    /// [`FailureClass::Engine`], when the engine is not a swarm manager.
    pub fn of(docker: &Docker) -> Result<Cluster> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Swarm {
            #[serde(rename = "NodeID")]
            node: String,
            local_node_state: String,
            control_available: bool,
            error: String,
            cluster: Option<Id>,
        }
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Id {
            #[serde(rename = "ID")]
            id: String,
        }
        let text = docker.cmd(["info", "--format", "{{json .Swarm}}"]).read()?;
        let swarm: Swarm = serde_json::from_str(&text)
            .context("unexpected output of `docker info --format '{{json .Swarm}}'`")?;
        if !swarm.control_available {
            let (what, help) = match (swarm.local_node_state.as_str(), swarm.error.as_str()) {
                ("active", "") => (
                    "this engine is a swarm worker; only managers can deploy".to_owned(),
                    "choose a manager with `docker context use NAME` or DOCKER_HOST",
                ),
                (_, "") => (
                    "this engine is not part of a swarm".to_owned(),
                    "choose a manager with `docker context use NAME` or DOCKER_HOST, or create a swarm with `docker swarm init`",
                ),
                (_, error) => {
                    (format!("the swarm is not working: {error}"), "see `docker node ls` on a manager")
                }
            };
            return Err(Failure::new(FailureClass::Engine, what, help).into());
        }
        Ok(Cluster { id: swarm.cluster.unwrap_or_default().id, node: swarm.node, nodes: nodes(docker)? })
    }

    /// The node with this ID.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// A node's name, or its shortened ID if it is not part of the swarm.
    pub fn name_of(&self, id: &str) -> String {
        self.node(id).map_or_else(|| short(id).to_owned(), Node::name)
    }
}

/// The nodes of the swarm.
pub(super) fn nodes(docker: &Docker) -> Result<Vec<Node>> {
    let text = docker.cmd(["node", "ls", "--format", "{{json .}}"]).read()?;
    let nodes = serde_json::Deserializer::from_str(&text).into_iter();
    nodes.collect::<Result<_, _>>().context("unexpected output of `docker node ls`")
}

/// A service, as the engine stores it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RunningService {
    /// The ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The current specification.
    pub spec: ServiceSpec,
    /// The specification that a rollback restores.
    pub previous_spec: Option<ServiceSpec>,
    /// The last update; `None` before the first update.
    pub update_status: Option<UpdateStatus>,
}

/// The desired state of a service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ServiceSpec {
    /// The name, `STACK_SERVICE`.
    pub name: String,
    /// The specification of its tasks.
    pub task_template: TaskSpec,
}

/// The specification of a task.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskSpec {
    /// The container.
    pub container_spec: Value,
    /// Limits and reservations.
    pub resources: Value,
    /// Placement constraints.
    pub placement: Placement,
    /// Counts forced updates.
    pub force_update: u64,
}

/// Where a task may run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Placement {
    /// Such as `node.id==ID`.
    pub constraints: Vec<String>,
}

impl TaskSpec {
    /// The image reference.
    pub fn image(&self) -> &str {
        self.container_spec["Image"].as_str().unwrap_or_default()
    }

    /// Whether a task with this specification is up to date. Placement is ignored, since Swarm does not replace tasks when only the
    /// placement changes.
    pub fn is_as_wanted(&self, service: &TaskSpec) -> bool {
        is_same(&self.container_spec, &service.container_spec)
            && is_same(&self.resources, &service.resources)
            && self.force_update == service.force_update
    }

    /// The names of the secrets and configs that it mounts.
    pub(super) fn contents(&self) -> impl Iterator<Item = &str> {
        let names = |kind: &str, name: &'static str| {
            let all = self.container_spec[kind].as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().filter_map(move |item| item[name].as_str())
        };
        names("Secrets", "SecretName").chain(names("Configs", "ConfigName"))
    }
}

/// Unset container fields that docker prints with their default for a service (moby, swarmkit `api/defaults`).
const ADDED: [&str; 2] = ["DNSConfig", "StopGracePeriod"];

/// Whether part of a task's specification matches its service's.
fn is_same(task: &Value, service: &Value) -> bool {
    let empty = Map::new();
    let (task, service) = (task.as_object().unwrap_or(&empty), service.as_object().unwrap_or(&empty));
    let is_known = |key: &String| task.contains_key(key) || ADDED.contains(&key.as_str());
    service.keys().all(is_known) && task.iter().all(|(key, value)| service.get(key) == Some(value))
}

/// The progress of an update (moby, `swarm.UpdateStatus`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UpdateStatus {
    /// `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused` or `rollback_completed`.
    pub state: String,
    /// A readable description.
    pub message: String,
}

/// A task: one attempt to run a container of a service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Task {
    /// The ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The ID of its service.
    #[serde(rename = "ServiceID")]
    pub service: String,
    /// The ID of its node; empty until it is assigned to one.
    #[serde(rename = "NodeID")]
    pub node: String,
    /// Its specification.
    pub spec: TaskSpec,
    /// Its state.
    pub status: TaskStatus,
    /// The desired state: `running`, `shutdown`…
    pub desired_state: String,
}

/// The state of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskStatus {
    /// `pending`, `preparing`, `running`, `complete`, `failed`, `rejected`…
    pub state: String,
    /// When it entered the state, as RFC 3339.
    pub timestamp: String,
    /// Why it is waiting or has failed.
    pub err: String,
    /// The container; `None` until it is created.
    pub container_status: Option<ContainerStatus>,
}

/// The container of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerStatus {
    /// Only meaningful after it has exited.
    pub exit_code: i64,
}

/// A stack's services, by their name in the Compose file.
///
/// # Errors
/// When docker fails.
pub fn services(stack: &str, docker: &Docker) -> Result<BTreeMap<String, RunningService>> {
    let filter = format!("label={NAMESPACE}={stack}");
    let ids = docker.cmd(["service", "ls", "--quiet", "--filter", &filter]).read()?;
    let found: Vec<RunningService> = inspect("service", &ids, docker)?;
    let prefix = format!("{stack}_");
    let key = |service: &RunningService| service.spec.name.strip_prefix(&prefix).map(str::to_owned);
    Ok(found.into_iter().filter_map(|service| Some((key(&service)?, service))).collect())
}

/// A stack's tasks, including finished tasks.
pub(super) fn tasks(stack: &str, docker: &Docker) -> Result<Vec<Task>> {
    match docker.cmd(["stack", "ps", "--quiet", "--no-trunc", stack]).read() {
        // Docker fails if the stack has no tasks.
        Err(error) if error.to_string().contains("nothing found in stack") => Ok(Vec::new()),
        ids => inspect("task", &ids?, docker),
    }
}

/// Output of `docker inspect` for the objects that still exist.
fn inspect<T: DeserializeOwned>(kind: &str, ids: &str, docker: &Docker) -> Result<Vec<T>> {
    if ids.trim().is_empty() {
        return Ok(Vec::new());
    }
    let cmd = docker.cmd(["inspect", "--type", kind]).args(ids.lines());
    let output = cmd.capture()?;
    // Docker prints the objects it finds even if others are gone.
    serde_json::from_str(&output.stdout).with_context(|| format!("unexpected output of `{}`", cmd.quoted()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_is_current_if_its_container_is_the_same_wherever_it_may_run() {
        let spec = |image: &str, node: &str| -> TaskSpec {
            serde_json::from_value(json!({
                "ContainerSpec": { "Image": image, "Secrets": [{ "SecretName": "p_key_1", "File": { "Name": "key" } }] },
                "Resources": {}, "Placement": { "Constraints": [format!("node.id=={node}")] }, "ForceUpdate": 0,
            }))
            .unwrap()
        };
        assert!(spec("a:1@sha256:1", "x").is_as_wanted(&spec("a:1@sha256:1", "y")));
        assert!(!spec("a:1@sha256:1", "x").is_as_wanted(&spec("a:1@sha256:2", "x")));
        let mut printed = spec("a", "x");
        printed.container_spec["StopGracePeriod"] = json!(10_000_000_000_u64);
        printed.container_spec["DNSConfig"] = json!({});
        assert!(spec("a", "x").is_as_wanted(&printed));
        printed.container_spec["ReadOnly"] = json!(true);
        assert!(!spec("a", "x").is_as_wanted(&printed));
        assert_eq!(spec("a", "x").contents().collect::<Vec<_>>(), ["p_key_1"]);
        assert_eq!(spec("a", "x").image(), "a");
    }
}
