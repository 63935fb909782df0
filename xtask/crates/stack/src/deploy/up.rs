//! Changes a stack with Compose, and waits until every service is healthy.

use std::time::Duration;

use anyhow::Result;

use crate::deploy::health::{ServiceCondition, ServiceHealth};
use crate::deploy::not_healthy::NotHealthy;
use crate::deploy::watch::{Watch, WatchEnd};
use engine::compose::Project;
use engine::signs::{Cause, client_error};
use host::failure::{Failure, FailureClass};
use host::files::Lock;
use host::interrupt::Interrupt;
use host::process::{Started, tail};
use host::terminal::Terminal;

/// Log lines shown of a failed service.
const SHOWN_LINES: u32 = 12;

/// How often Compose is started again when a container vanished under it, or when it gave up before it had started services
/// that need none of those that failed.
const ROUNDS: usize = 3;

/// What Compose does to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Creates, replaces and starts containers as the Compose file says.
    Up,
    /// Stops and starts the containers that are there.
    Restart,
}

/// A change of a stack, up to healthy services.
pub struct StackChange<'a> {
    /// What Compose does.
    pub kind: ChangeKind,
    /// The stack, limited to the services to change.
    pub project: &'a Project,
    /// For everything together.
    pub deadline: Duration,
    /// Ends the waiting.
    pub interrupt: &'a Interrupt,
    /// For progress.
    pub terminal: &'a Terminal,
    /// With a lock, Compose finishes its work whatever happens to this process, and holds the lock until then. Without one it
    /// ends with this process.
    pub lock: Option<&'a Lock>,
    /// The command that continues an interrupted change; empty where the stack is removed then.
    pub again: &'a str,
    /// What to do when a service failed.
    pub help: &'a str,
}

impl StackChange<'_> {
    /// Executes the change and waits until all its services are healthy. Reports each service on the way. Compose is not
    /// interrupted because a container ended, unless it can only wait in vain.
    ///
    /// # Errors
    /// [`NotHealthy`], when a service fails, Compose fails, or the deadline passes; as a [`Failure`] when the machine is at fault
    /// or the user interrupts.
    pub fn execute(&self) -> Result<Vec<ServiceHealth>> {
        let config = self.project.ready()?;
        let mut watch = Watch::new(self, config)?;
        // From here on the stack may change.
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
                _ => return Err(self.error(services, end, &output)),
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

    fn error(&self, services: Vec<ServiceHealth>, end: WatchEnd, output: &str) -> anyhow::Error {
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
            // Compose was stopped by this program; its output only says so.
            WatchEnd::AllFine | WatchEnd::ServiceFailed | WatchEnd::Interrupted => String::new(),
        };
        let port_is_taken = own_lines(output).any(|line| Cause::of_step(line, "") == Cause::PortInUse);
        let help =
            if is_interrupted { format!("to continue: `{}`", self.again) } else { self.help.to_owned() };
        let error = NotHealthy { services, logs, is_interrupted, reason, port_is_taken, help };
        match client_error(output) {
            _ if is_interrupted => Failure::new(FailureClass::Unfinished, error.to_string(), "").into(),
            class if class.is_environment() => {
                let remedy = match self.again {
                    "" => class.remedy().to_owned(),
                    again => format!("{}: `{again}`", class.remedy()),
                };
                let error = NotHealthy { help: String::new(), ..error };
                Failure::new(class, error.to_string(), remedy).into()
            }
            // A throwaway stack tries other ports first.
            _ if self.again.is_empty() => error.into(),
            _ => NotHealthy::blame_port(error.into()),
        }
    }
}

/// Lines that docker writes itself: other lines hold names, or what a container printed.
fn own_lines(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter(|line| line.starts_with("Error response from daemon"))
}

/// What to start after Compose failed: the same again where a container vanished under it, or was being removed; the
/// services that it gave up on although they need none of those that failed.
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
