//! Waits until a deployment to a swarm has converged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::swarm::cluster::{Node, Task};
use crate::swarm::plan::{Expected, SwarmPlan};
use crate::swarm::state::{Look, State, failed};
use engine::docker::Docker;
use host::failure::{Failure, FailureClass};
use host::program::PROGRAM;
use host::terminal::Terminal;
use host::wait;

const INTERVAL: Duration = Duration::from_secs(1);
/// How long the same tasks must keep running. Swarm monitors new tasks during an update, but not on a first start.
const STABLE: Duration = Duration::from_secs(5);
/// The failed tasks, and the lines of their logs, that an error shows.
const SHOWN_TASKS: usize = 2;
const SHOWN_LINES: &str = "12";

/// Waits until every service has converged or failed, or `timeout` has passed.
///
/// # Errors
/// Which services do not run as planned, with their tasks' errors; when docker fails, or the user interrupts.
pub fn wait(plan: &SwarmPlan, timeout: Duration, docker: &Docker, terminal: &Terminal) -> Result<()> {
    let mut watch =
        Watch { plan, terminal, lost: BTreeSet::new(), done: BTreeSet::new(), since: BTreeMap::new() };
    let mut last = Look::default();
    let mut states = BTreeMap::new();
    let interrupt = &docker.runner.interrupt;
    let all = wait::poll(INTERVAL, timeout, interrupt, || {
        last = Look::at(&plan.stack, docker)?;
        watch.tell_nodes(&last.nodes);
        states = watch.states(&last);
        let is_waiting = |state: &State| matches!(state, State::Waiting(_));
        Ok((!states.values().any(is_waiting)).then_some(()))
    })?;
    let is_converged = |state: &State| matches!(state, State::Converged(_));
    if all.is_some() && states.values().all(is_converged) {
        return Ok(());
    }
    Err(Failed { plan, look: &last, states: &states, timeout: all.is_none().then_some(timeout) }
        .error(docker))
}

/// What has been seen so far.
struct Watch<'a> {
    plan: &'a SwarmPlan,
    terminal: &'a Terminal,
    /// The nodes reported as down.
    lost: BTreeSet<String>,
    /// The services reported as running.
    done: BTreeSet<String>,
    /// The tasks of each converged service, and when they were first seen.
    since: BTreeMap<String, (BTreeSet<String>, Instant)>,
}

impl Watch<'_> {
    fn tell_nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            if node.is_ready() {
                if self.lost.remove(&node.id) {
                    self.terminal.say(format!("the node {} is back", node.name()));
                }
            } else if self.lost.insert(node.id.clone()) {
                let pinned =
                    self.plan.services.iter().filter(|(_, service)| service.node.as_ref() == Some(&node.id));
                let pinned: Vec<&str> = pinned.map(|(name, _)| name.as_str()).collect();
                let stays = match pinned.as_slice() {
                    [] => String::new(),
                    names => format!("; {} cannot move (local data)", names.join(", ")),
                };
                let status = node.status.to_lowercase();
                self.terminal.warn(format!(
                    "the node {} is {status}: Swarm starts its tasks on other nodes{stays}",
                    node.name()
                ));
            }
        }
    }

    /// The states of all services. A service counts as converged only after its tasks have run for [`STABLE`].
    fn states(&mut self, look: &Look) -> BTreeMap<String, State> {
        let mut states = BTreeMap::new();
        for (name, planned) in &self.plan.services {
            let mut state = look.state(name, planned);
            if let State::Converged(tasks) = &state {
                let since = self.since.entry(name.clone()).or_insert_with(|| (tasks.clone(), Instant::now()));
                if since.0 != *tasks {
                    *since = (tasks.clone(), Instant::now());
                }
                if matches!(planned.expected, Expected::Running(_) | Expected::EveryNode)
                    && since.1.elapsed() < STABLE
                {
                    state = State::Waiting(format!("running for less than {} s", STABLE.as_secs()));
                } else if self.done.insert(name.clone()) {
                    self.terminal.say(format!("{name}: {}", look.places(tasks, planned)));
                }
            } else {
                self.since.remove(name);
                self.done.remove(name);
            }
            states.insert(name.clone(), state);
        }
        states
    }
}

/// A deployment that did not converge.
struct Failed<'a> {
    plan: &'a SwarmPlan,
    look: &'a Look,
    states: &'a BTreeMap<String, State>,
    timeout: Option<Duration>,
}

impl Failed<'_> {
    fn error(&self, docker: &Docker) -> anyhow::Error {
        let (mut names, mut details, mut fine) = (Vec::new(), String::new(), Vec::new());
        for (name, state) in self.states {
            let reason = match state {
                State::Converged(_) => {
                    fine.push(name.as_str());
                    continue;
                }
                State::Waiting(reason) | State::Failed(reason) => reason,
            };
            names.push(name.as_str());
            write!(details, "\n  {name}: {reason}").ok();
            for task in self.failed_tasks(name) {
                details.push_str(&self.task(task, docker));
            }
        }
        let timeout = self.timeout.map_or(String::new(), |time| format!(" within {} s", time.as_secs()));
        let lost: Vec<String> = self
            .look
            .nodes
            .iter()
            .filter(|node| !node.is_ready())
            .map(|node| format!("{} ({})", node.name(), node.status.to_lowercase()))
            .collect();
        if !lost.is_empty() {
            write!(details, "\n  unreachable nodes: {}", lost.join(", ")).ok();
        }
        if !fine.is_empty() {
            write!(details, "\n  as planned: {}", fine.join(", ")).ok();
        }
        let what = format!("not running as planned{timeout}: {}{details}", names.join(", "));
        let again = format!("fix the errors above, then run `{PROGRAM} deploy --swarm` again");
        let help = match lost.is_empty() {
            true => again,
            false => format!(
                "bring the lost nodes back, or remove them with `docker node rm --force NODE`; `docker service update \
                 --force {}_SERVICE` restarts an update that is stuck on a lost node; {again}",
                self.plan.stack
            ),
        };
        Failure::new(FailureClass::Failed, docker.runner.secrets.mask(&what), help).into()
    }

    /// The latest failed tasks of the planned image.
    fn failed_tasks(&self, name: &str) -> Vec<&Task> {
        let Some(service) = self.look.services.get(name) else { return Vec::new() };
        let image = &self.plan.services[name].image;
        let of_service: Vec<&Task> =
            self.look.tasks.iter().filter(|task| task.service == service.id).collect();
        let planned: Vec<&Task> =
            of_service.iter().copied().filter(|task| task.spec.image() == image).collect();
        failed(&planned).into_iter().take(SHOWN_TASKS).collect()
    }

    fn task(&self, task: &Task, docker: &Docker) -> String {
        let node = if task.node.is_empty() {
            String::new()
        } else {
            format!(" on {}", self.look.node_name(&task.node))
        };
        let mut out = format!("\n    {}{node}: {}", task.status.state, task.status.err);
        // The log may be gone with its node.
        let log = docker.cmd(["service", "logs", "--raw", "--tail", SHOWN_LINES, &task.id]).apart().capture();
        let log = log.map(|output| output.stdout + &output.stderr).unwrap_or_default();
        for line in docker.runner.secrets.mask(&log).lines().filter(|line| !line.trim().is_empty()) {
            write!(out, "\n      {line}").ok();
        }
        out
    }
}
