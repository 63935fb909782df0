//! The state of a stack's services at one point in time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Result;

use crate::swarm::cluster::{self, Node, RunningService, Task};
use crate::swarm::plan::{Expected, PlannedService};
use engine::docker::Docker;
use host::plural;

/// A service without running tasks has failed after this many failed tasks. Swarm keeps the last five tasks of each replica.
const FAILURES: usize = 4;

/// The states of a task before it runs (moby, `swarm.TaskState`).
const EARLY: [&str; 8] =
    ["new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting"];

/// A snapshot of a stack.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub(super) services: BTreeMap<String, RunningService>,
    pub(super) tasks: Vec<Task>,
    pub(super) nodes: Vec<Node>,
}

/// The state of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It runs as planned; the IDs of its tasks.
    Converged(BTreeSet<String>),
    /// It does not run as planned yet; the reason.
    Waiting(String),
    /// It does not run as planned, and waiting will not help; the reason.
    Failed(String),
}

impl Look {
    /// Takes a snapshot.
    pub(super) fn at(stack: &str, docker: &Docker) -> Result<Look> {
        let (services, nodes) = (cluster::services(stack, docker)?, cluster::nodes(docker)?);
        Ok(Look { services, tasks: cluster::tasks(stack, docker)?, nodes })
    }

    /// A service's tasks with its current specification.
    fn current(&self, service: &RunningService) -> Vec<&Task> {
        let is_current =
            |task: &&Task| task.service == service.id && task.spec.is_as_wanted(&service.spec.task_template);
        self.tasks.iter().filter(is_current).collect()
    }

    pub(super) fn node_name(&self, id: &str) -> String {
        self.nodes.iter().find(|node| node.id == id).map_or_else(|| "no node".to_owned(), Node::name)
    }

    fn is_ready(&self, id: &str) -> bool {
        self.nodes.iter().any(|node| node.id == id && node.is_ready())
    }

    /// Whether a task was lost with its node before it ran. An update keeps waiting for the task, even after another node runs its
    /// replacement (moby, swarmkit `updater`).
    fn is_lost_early(&self, task: &Task) -> bool {
        let is_early = EARLY.contains(&task.status.state.as_str());
        is_early && !task.node.is_empty() && !self.is_ready(&task.node)
    }

    /// The state of a service.
    pub(super) fn state(&self, name: &str, planned: &PlannedService) -> State {
        let Some(service) = self.services.get(name) else {
            return State::Waiting("not created yet".to_owned());
        };
        let update = service.update_status.clone().unwrap_or_default();
        match update.state.as_str() {
            "rollback_completed" => {
                let image = service.spec.task_template.image();
                return State::Failed(format!("Swarm rolled it back to {image}"));
            }
            "paused" | "rollback_paused" => {
                return State::Failed(format!("{}: {}", update.state, update.message));
            }
            "rollback_started" => return State::Waiting(format!("rolling back: {}", update.message)),
            _ => {}
        }
        let current = self.current(service);
        let (found, expected) = self.found(&current, planned.expected);
        let is_updating = update.state == "updating";
        if found.len() >= expected && !is_updating {
            return State::Converged(found);
        }
        if let Some(node) = planned.node.as_ref().filter(|node| !self.is_ready(node)) {
            return State::Waiting(format!(
                "its data is on the node {}, which is down",
                self.node_name(node)
            ));
        }
        let failed = failed(&current).len();
        if failed >= FAILURES && found.is_empty() && !is_updating {
            return State::Failed(format!("its tasks failed {failed} times"));
        }
        let is_wanted = |task: &&&Task| task.desired_state == "running";
        let reason = current.iter().filter(is_wanted).find(|task| !task.status.err.is_empty());
        let reason = reason.map_or(String::new(), |task| format!(": {}", task.status.err));
        let lost = current.iter().find(|task| is_updating && self.is_lost_early(task));
        let update = match lost {
            Some(task) => {
                format!(", but the update waits for a task on the lost node {}", self.node_name(&task.node))
            }
            None if is_updating => ", updating".to_owned(),
            None => String::new(),
        };
        let of = plural::count(expected, "task");
        State::Waiting(format!("{} of {of} as planned{update}{reason}", found.len()))
    }

    /// The tasks that are in their expected state, and their expected number.
    fn found(&self, current: &[&Task], expected: Expected) -> (BTreeSet<String>, usize) {
        let ids = |is_found: &dyn Fn(&Task) -> bool| {
            let found = current.iter().filter(|task| is_found(task));
            found.map(|task| task.id.clone()).collect::<BTreeSet<_>>()
        };
        let is_wanted = |task: &Task| task.desired_state == "running";
        let running =
            ids(&|task| is_wanted(task) && task.status.state == "running" && self.is_ready(&task.node));
        let number = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        match expected {
            Expected::Nothing => (running, 0),
            Expected::Running(count) => (running, number(count)),
            Expected::EveryNode => (running, ids(&is_wanted).len().max(1)),
            Expected::Completed(count) => (ids(&|task| task.status.state == "complete"), number(count)),
        }
    }

    /// Where a service's tasks run.
    pub(super) fn places(&self, tasks: &BTreeSet<String>, planned: &PlannedService) -> String {
        let nodes: BTreeSet<String> = self
            .tasks
            .iter()
            .filter(|task| tasks.contains(&task.id))
            .map(|task| self.node_name(&task.node))
            .collect();
        let nodes = nodes.into_iter().collect::<Vec<_>>().join(", ");
        let tasks = plural::count(tasks.len(), "task");
        match planned.expected {
            Expected::Nothing => "no tasks, as planned".to_owned(),
            Expected::Completed(_) => format!("{tasks} completed on {nodes}"),
            Expected::Running(_) | Expected::EveryNode => format!("{tasks} on {nodes}"),
        }
    }
}

/// The failed tasks, newest first.
pub(super) fn failed<'t>(tasks: &[&'t Task]) -> Vec<&'t Task> {
    let is_failed = |task: &&&Task| matches!(task.status.state.as_str(), "failed" | "rejected" | "orphaned");
    let mut failed: Vec<&Task> = tasks.iter().filter(is_failed).copied().collect();
    failed.sort_by(|a, b| b.status.timestamp.cmp(&a.status.timestamp));
    failed
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NEW: &str = "r.example/a:1@sha256:2";
    const OLD: &str = "r.example/a:1@sha256:1";

    fn task(image: &str, node: &str, state: &str, desired: &str) -> Value {
        json!({
            "ID": format!("{node}-{state}-{image}"), "ServiceID": "s", "NodeID": node, "DesiredState": desired,
            "Spec": { "ContainerSpec": { "Image": image }, "ForceUpdate": 0 },
            "Status": { "State": state, "Err": if state == "failed" { "task: non-zero exit (1)" } else { "" } },
        })
    }

    /// The state of a service with this update status that should run two tasks of `NEW`, on the nodes `x` and `y`.
    fn state(image: &str, update: Value, tasks: Value, y: &str) -> State {
        state_of(image, update, tasks, y, "y")
    }

    /// The same for a service whose data is on `node`.
    fn state_of(image: &str, update: Value, tasks: Value, y: &str, node: &str) -> State {
        let service = json!({ "ID": "s", "Spec": { "TaskTemplate": { "ContainerSpec": { "Image": image } } }, "UpdateStatus": update });
        let look = Look {
            services: BTreeMap::from([("a".to_owned(), serde_json::from_value(service).unwrap())]),
            tasks: serde_json::from_value(tasks).unwrap(),
            nodes: serde_json::from_value(json!([
                { "ID": "x", "Hostname": "one", "Status": "Ready" }, { "ID": "y", "Hostname": "two", "Status": y },
            ]))
            .unwrap(),
        };
        let planned = PlannedService {
            expected: Expected::Running(2),
            node: Some(node.to_owned()),
            ..PlannedService::default()
        };
        look.state("a", &planned)
    }

    #[test]
    fn an_update_is_done_when_all_tasks_run_the_new_image() {
        let both = json!([task(NEW, "x", "running", "running"), task(NEW, "y", "running", "running")]);
        let done = json!({ "State": "completed" });
        assert!(
            matches!(state(NEW, done.clone(), both.clone(), "Ready"), State::Converged(tasks) if tasks.len() == 2)
        );
        let updating = state(NEW, json!({ "State": "updating" }), both.clone(), "Ready");
        assert_eq!(updating, State::Waiting("2 of 2 tasks as planned, updating".to_owned()));
        let one = json!([task(NEW, "x", "running", "running"), task(OLD, "y", "running", "running")]);
        assert_eq!(
            state(NEW, Value::Null, one, "Ready"),
            State::Waiting("1 of 2 tasks as planned".to_owned())
        );
        let waiting = json!([task(NEW, "x", "running", "running"), task(NEW, "y", "assigned", "shutdown")]);
        let look = |y: &str| state_of(NEW, json!({ "State": "updating" }), waiting.clone(), y, "x");
        assert_eq!(look("Ready"), State::Waiting("1 of 2 tasks as planned, updating".to_owned()));
        let lost = "1 of 2 tasks as planned, but the update waits for a task on the lost node two (y)";
        assert_eq!(look("Down"), State::Waiting(lost.to_owned()));
        // The manager still reports the last state of tasks on a lost node.
        let lost = state(NEW, done, both, "Down");
        assert_eq!(lost, State::Waiting("its data is on the node two (y), which is down".to_owned()));
    }

    #[test]
    fn a_rolled_back_update_has_failed() {
        let tasks = json!([task(OLD, "x", "running", "running"), task(NEW, "x", "failed", "shutdown")]);
        let rolled_back = state(OLD, json!({ "State": "rollback_completed" }), tasks.clone(), "Ready");
        assert_eq!(rolled_back, State::Failed(format!("Swarm rolled it back to {OLD}")));
        let paused = state(NEW, json!({ "State": "paused", "Message": "why" }), tasks.clone(), "Ready");
        assert_eq!(paused, State::Failed("paused: why".to_owned()));
        let started = state(OLD, json!({ "State": "rollback_started", "Message": "why" }), tasks, "Ready");
        assert_eq!(started, State::Waiting("rolling back: why".to_owned()));
    }

    #[test]
    fn a_service_that_never_runs_is_given_up() {
        let failed = |times: usize| Value::from(vec![task(NEW, "x", "failed", "shutdown"); times]);
        assert!(matches!(state(NEW, Value::Null, failed(3), "Ready"), State::Waiting(_)));
        assert_eq!(
            state(NEW, Value::Null, failed(4), "Ready"),
            State::Failed("its tasks failed 4 times".to_owned())
        );
    }
}
