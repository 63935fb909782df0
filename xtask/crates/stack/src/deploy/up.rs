//! Changes a stack with Compose, and waits until every service is healthy.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::deploy::health::{ServiceCondition, ServiceHealth};
use crate::deploy::not_healthy::NotHealthy;
use crate::deploy::watch::{Watch, WatchEnd};
use engine::compose::{ComposeConfig, ComposeService, Project};
use engine::signs::{Cause, client_error};
use host::failure::{Failure, FailureClass};
use host::files::Lock;
use host::interrupt::Interrupt;
use host::process::{Started, tail};
use host::terminal::Terminal;

/// Log lines shown of a failed service.
const SHOWN_LINES: u32 = 12;

/// Maximum number of Compose runs for each of these reasons: a container disappeared during the run; Compose gave up before
/// starting services that do not depend on a failed one; images changed during the run.
const ROUNDS: usize = 3;

/// What Compose does to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Creates, replaces and starts containers as defined in the Compose file.
    Up,
    /// Restarts the existing containers.
    Restart,
}

/// A change to a stack. It is complete when all its services are healthy.
pub struct StackChange<'a> {
    /// What Compose does.
    pub kind: ChangeKind,
    /// The stack, limited to the services to change.
    pub project: &'a Project,
    /// The time limit for the whole change.
    pub deadline: Duration,
    /// Interrupts the wait.
    pub interrupt: &'a Interrupt,
    /// Where progress is printed.
    pub terminal: &'a Terminal,
    /// With a lock, Compose may outlive this process, and holds the lock until it is done. Without a lock, Compose ends with
    /// this process.
    pub lock: Option<&'a Lock>,
    /// The command that continues an interrupted change; empty if the stack is removed instead.
    pub again: &'a str,
    /// What the user can do if a service fails.
    pub help: &'a str,
}

impl StackChange<'_> {
    /// Executes the change and waits until all its services are healthy. Reports each service when it becomes healthy or fails.
    /// A failed container does not interrupt Compose unless Compose can no longer make progress.
    ///
    /// # Errors
    /// [`NotHealthy`] if a service or Compose fails, or the deadline passes; a [`Failure`] if the cause is the machine, or the
    /// user interrupts.
    pub fn execute(&self) -> Result<Vec<ServiceHealth>> {
        let (config, started) = (self.project.ready()?, Instant::now());
        if self.kind == ChangeKind::Restart {
            return self.once(config, started);
        }
        let images = config.services.values().map(|service| service.image.clone());
        let images: Vec<String> = images.filter(|image| !image.is_empty()).collect();
        let docker = self.project.docker();
        let mut before = docker.settled_ids(&images)?;
        for round in 1.. {
            let result = self.once(config.clone(), started);
            if self.interrupt.is_set() {
                return result;
            }
            // Compose reads one tag after the other. If a build moved them meanwhile, it may have started images of two builds,
            // which may be why a service failed.
            let after = match docker.settled_ids(&images) {
                Ok(after) => after,
                Err(error) => return result.and(Err(error)),
            };
            let moved = moved(&before, &after);
            if moved.is_empty() {
                return result;
            }
            if round == ROUNDS {
                break;
            }
            let moved = moved.join(", ");
            self.terminal.say(format!("images changed during the deployment, starting it again: {moved}"));
            before = after;
        }
        let help = "wait until no other run builds or pulls images".to_owned();
        let help = if self.again.is_empty() { help } else { format!("{help}, then: `{}`", self.again) };
        let what = format!(
            "images changed during each of {ROUNDS} Compose runs; services may run images of different builds"
        );
        Err(Failure::new(FailureClass::Unfinished, what, help).into())
    }

    /// Runs Compose, and again if that can help.
    fn once(&self, config: ComposeConfig, started: Instant) -> Result<Vec<ServiceHealth>> {
        let configured = config.services.clone();
        let mut watch = Watch::new(self, config, self.deadline.saturating_sub(started.elapsed()))?;
        // From here on, the stack may change.
        self.interrupt.check()?;
        let mut project = self.project.clone();
        let mut round = 1;
        loop {
            let mut compose = self.start(&project)?;
            let (services, end) = watch.follow(&mut compose)?;
            if end == WatchEnd::AllFine {
                return Ok(services);
            }
            let output = compose.output();
            match next(&project, &services, &output) {
                Some(next) if end == WatchEnd::ComposeFailed && round < ROUNDS => project = next,
                _ => return Err(self.error(services, configured, end, &output)),
            }
            round += 1;
        }
    }

    fn start(&self, project: &Project) -> Result<Started> {
        let lock = self.lock.map(Lock::share).transpose()?;
        Ok(match self.kind {
            ChangeKind::Up => project.up(lock),
            ChangeKind::Restart => project.restart(lock),
        }?)
    }

    fn error(
        &self,
        services: Vec<ServiceHealth>,
        configured: BTreeMap<String, ComposeService>,
        end: WatchEnd,
        output: &str,
    ) -> anyhow::Error {
        let is_interrupted = end == WatchEnd::Interrupted;
        if is_interrupted && self.again.is_empty() {
            return Failure::interrupted().into();
        }
        let shown = services.iter().filter(|service| {
            service.condition.has_failed() || end == WatchEnd::DeadlinePassed && service.condition.runs()
        });
        let with_log = |service: &ServiceHealth| {
            let log = self.project.docker().last_lines(service.container.as_ref()?, SHOWN_LINES);
            Some((service.service.clone(), log.unwrap_or_else(|error| error.to_string())))
        };
        let logs = shown.filter(|service| !service.is_fine()).filter_map(with_log).collect();
        let reason = match end {
            WatchEnd::DeadlinePassed => {
                format!("not all healthy within {} s (--timeout)", self.deadline.as_secs())
            }
            WatchEnd::ComposeFailed => tail(output, 4),
            // This program stopped Compose, and its output shows only that.
            WatchEnd::AllFine | WatchEnd::ServiceFailed | WatchEnd::Interrupted => String::new(),
        };
        let port_is_taken = own_lines(output).any(|line| Cause::of_step(line, "") == Cause::PortInUse);
        let help =
            if is_interrupted { format!("to continue: `{}`", self.again) } else { self.help.to_owned() };
        let error = NotHealthy { services, configured, logs, is_interrupted, reason, port_is_taken, help };
        match client_error(output) {
            _ if is_interrupted => Failure::new(FailureClass::Unfinished, error.to_string(), "").into(),
            class if class.is_environment() => {
                let remedy = match self.again {
                    "" => class.remedy(),
                    again => format!("{}: `{again}`", class.remedy()),
                };
                let error = NotHealthy { help: String::new(), ..error };
                Failure::new(class, error.to_string(), remedy).into()
            }
            // A throwaway stack tries other ports before it reports the conflict.
            _ if self.again.is_empty() => error.into(),
            _ => NotHealthy::blame_port(error.into()),
        }
    }
}

/// The images whose IDs changed. A new image did not change: Compose pulled it.
fn moved<'a>(before: &BTreeMap<String, String>, after: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let is_moved = |(tag, id): &(&String, &String)| before.get(*tag).is_some_and(|old| old != *id);
    after.iter().filter(is_moved).map(|(tag, _)| tag.as_str()).collect()
}

/// Errors of the engine itself. Other lines may contain names or container output.
fn own_lines(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter(|line| line.starts_with("Error response from daemon"))
}

/// What to start after Compose failed: everything again if a container disappeared or was being removed; otherwise the services
/// that are not started although none of their dependencies failed.
fn next(project: &Project, services: &[ServiceHealth], output: &str) -> Option<Project> {
    let has_vanished = |line: &str| {
        ["No such container", "is already in progress", "is marked for removal"]
            .iter()
            .any(|sign| line.contains(sign))
    };
    if own_lines(output).any(has_vanished) {
        return Some(project.clone());
    }
    if !services.iter().any(|service| service.condition.has_failed()) {
        return None;
    }
    let is_free = |service: &&ServiceHealth| {
        service.condition == ServiceCondition::NotStarted && service.waits_for.is_empty()
    };
    let free: Vec<String> = services.iter().filter(is_free).map(|service| service.service.clone()).collect();
    (!free.is_empty()).then(|| project.clone().only(free).without_dependencies())
}
