//! Follows the services of a stack while Compose changes them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;

use crate::deploy::health::{self, ServiceCondition, ServiceHealth};
use crate::deploy::up::{ChangeKind, StackChange};
use engine::compose::{ComposeConfig, Lifetime};
use engine::containers::ContainerInspect;
use engine::labels;
use host::process::Started;
use host::terminal::Style;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How a change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WatchEnd {
    AllFine,
    ServiceFailed,
    DeadlinePassed,
    ComposeFailed,
    Interrupted,
}

/// Identifies containers by ID and start time, because Compose replaces them under the same name. A failure of an old container
/// is not a failure of the change.
pub(super) struct Watch<'a> {
    change: &'a StackChange<'a>,
    config: ComposeConfig,
    /// The start time and restart count of each container that existed before the change, by ID.
    before: BTreeMap<String, (String, u32)>,
    started: Instant,
    /// Since `started`.
    deadline: Duration,
    /// The engine's clock at `started`.
    engine_time: SystemTime,
    /// The last known condition of each service.
    reported: BTreeMap<String, ServiceCondition>,
    /// Whether there are failed old containers that Compose may still start or replace.
    is_unfinished: bool,
    is_stopped: bool,
    is_warned: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        change: &'a StackChange<'a>,
        config: ComposeConfig,
        deadline: Duration,
    ) -> Result<Watch<'a>> {
        let docker = change.project.docker();
        let containers = docker.project_containers(&config.name)?;
        let state = |found: ContainerInspect| (found.id, (found.state.started_at, found.restart_count));
        let before = containers.into_iter().map(state).collect();
        Ok(Watch {
            change,
            config,
            before,
            engine_time: docker.now()?,
            started: Instant::now(),
            deadline,
            reported: BTreeMap::new(),
            is_unfinished: false,
            is_stopped: false,
            is_warned: false,
        })
    }

    /// Waits until Compose has exited and the result is known.
    pub(super) fn follow(&mut self, compose: &mut Started) -> Result<(Vec<ServiceHealth>, WatchEnd)> {
        loop {
            // Checked before listing the containers: once Compose has exited, the list is final.
            let is_over = compose.is_over();
            match self.look(is_over) {
                Ok(services) if is_over => {
                    if let Some(end) = self.end(compose.success(), &services) {
                        return Ok((services, end));
                    }
                }
                Ok(services) => self.watch_over(compose, &services),
                // Keep watching Compose: the next attempt may succeed.
                Err(_) if !is_over => self.watch_over(compose, &[]),
                Err(error) if self.change.again.is_empty() => return Err(error),
                Err(error) => {
                    let again = self.change.again;
                    return Err(error.context(format!(
                        "cannot read the state of the containers; to continue: `{again}`"
                    )));
                }
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// The current services, without failed old containers that Compose may still start or replace.
    fn look(&mut self, is_over: bool) -> Result<Vec<ServiceHealth>> {
        let mut containers = self.change.project.docker().project_containers(&self.config.name)?;
        // Other services of the project are not part of this change.
        containers.retain(|found| self.config.services.contains_key(found.label(labels::COMPOSE_SERVICE)));
        let now = self.engine_time + self.started.elapsed();
        self.forget_started(&containers);
        let is_old = |found: &ContainerInspect| self.before.contains_key(&found.id);
        let all = containers.len();
        if !is_over {
            containers.retain(|found| {
                !is_old(found) || !ServiceCondition::of(found, Lifetime::Stays, now).has_failed()
            });
        }
        let is_unfinished = containers.len() < all;
        let services = health::of(&self.config.services, &containers, now);
        let old = containers.iter().filter(|found| !is_over && is_old(found));
        let old: BTreeSet<String> =
            old.map(|found| found.label(labels::COMPOSE_SERVICE).to_owned()).collect();
        for service in services.iter().filter(|service| !old.contains(&service.service)) {
            self.report(service);
        }
        self.is_unfinished = is_unfinished;
        Ok(services)
    }

    /// Stops treating containers as old once Compose has started them. Starting a container resets its restart count; an automatic
    /// restart increments it first.
    fn forget_started(&mut self, containers: &[ContainerInspect]) {
        for found in containers {
            let is_started = |(start, restarts): &(String, u32)| {
                found.restart_count < *restarts
                    || found.restart_count == 0 && *start != found.state.started_at
            };
            if self.before.get(&found.id).is_some_and(is_started) {
                self.before.remove(&found.id);
            }
        }
    }

    /// Lets Compose finish unless it is stuck, late, or interrupted without holding the lock.
    fn watch_over(&mut self, compose: &mut Started, services: &[ServiceHealth]) {
        let change = self.change;
        let (is_interrupted, can_finish) = (change.interrupt.is_set(), change.lock.is_some());
        if is_interrupted && can_finish && !self.is_warned {
            self.is_warned = true;
            change.terminal.warn(
                "interrupted: waiting for Compose to finish replacing containers; press Ctrl-C again to exit now (Compose keeps running)",
            );
        }
        let is_stuck = change.kind == ChangeKind::Up && !self.is_unfinished && is_stuck(services);
        if self.is_stopped || self.is_late() || is_stuck || is_interrupted && !can_finish {
            self.is_stopped = true;
            compose.interrupt();
        }
    }

    /// The result, once Compose has exited; `None` while services are still starting.
    fn end(&self, success: bool, services: &[ServiceHealth]) -> Option<WatchEnd> {
        let any =
            |is_it: &dyn Fn(ServiceCondition) -> bool| services.iter().any(|found| is_it(found.condition));
        let is_late = self.is_late();
        if success && services.iter().all(ServiceHealth::is_fine) {
            Some(WatchEnd::AllFine)
        } else if self.change.interrupt.is_set() {
            Some(WatchEnd::Interrupted)
        } else if !success
            && !self.is_stopped
            && (is_late || !any(&|found| found == ServiceCondition::Starting))
        {
            // Otherwise, a service that Compose has started may still become healthy.
            Some(WatchEnd::ComposeFailed)
        } else if any(&ServiceCondition::has_failed) {
            Some(WatchEnd::ServiceFailed)
        } else if is_late {
            Some(WatchEnd::DeadlinePassed)
        } else if any(&|condition| condition == ServiceCondition::NotStarted) {
            Some(WatchEnd::ServiceFailed)
        } else {
            None
        }
    }

    fn is_late(&self) -> bool {
        self.started.elapsed() >= self.deadline
    }

    /// Reports a service once when it becomes fine or fails.
    fn report(&mut self, service: &ServiceHealth) {
        let last = self.reported.insert(service.service.clone(), service.condition);
        let style = match service.condition {
            condition if last == Some(condition) => return,
            condition if condition.is_fine() => Style::Good,
            condition if condition.has_failed() => Style::Bad,
            _ => return,
        };
        let terminal = self.change.terminal;
        let condition = terminal.paint(style, &service.to_string());
        let seconds = self.started.elapsed().as_secs_f64();
        terminal.say(format!("{:18} {condition} ({seconds:.1} s)", service.service));
    }
}

/// Whether Compose cannot make progress: a service failed, and every other service is fine, failed, or depends on a failed one.
fn is_stuck(services: &[ServiceHealth]) -> bool {
    let is_settled = |service: &ServiceHealth| {
        service.is_fine() || service.condition.has_failed() || !service.waits_for.is_empty()
    };
    services.iter().any(|service| service.condition.has_failed()) && services.iter().all(is_settled)
}
