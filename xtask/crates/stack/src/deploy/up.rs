//! Starts a stack and waits until every service is healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::deploy::health::{self, ServiceCondition, ServiceHealth};
use engine::compose::{ComposeService, Project};
use engine::signs::Cause;
use host::failure::Failure;
use host::interrupt::Interrupt;
use host::process::tail;
use host::terminal::{Style, Terminal};
use host::wait;

const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Log lines shown of a failed service.
const SHOWN_LINES: u32 = 12;

/// A stack with services that are not healthy.
#[derive(Debug)]
pub struct NotHealthy {
    /// The failed services with their last log lines.
    services: Vec<(ServiceHealth, String)>,
    reason: String,
    port_is_taken: bool,
}

impl NotHealthy {
    /// Whether a port to publish is in use by another process.
    pub fn port_is_taken(&self) -> bool {
        self.port_is_taken
    }
}

impl fmt::Display for NotHealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.services.iter().map(|(health, _)| health.service.as_str()).collect();
        match names.as_slice() {
            [] => f.write_str("docker compose failed, though every service is healthy")?,
            names => write!(f, "not healthy: {}", names.join(", "))?,
        }
        if !self.reason.is_empty() {
            write!(f, "\n  {}", self.reason.replace('\n', "\n  "))?;
        }
        for (health, log) in &self.services {
            write!(f, "\n  {} ({}), image {}", health.service, health.condition.name(), health.image)?;
            let log = if log.trim().is_empty() { "its log is empty" } else { log };
            log.lines().try_for_each(|line| write!(f, "\n    {line}"))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotHealthy {}

/// Starts a project and waits until all services are healthy. Reports each service on the way.
///
/// # Errors
/// [`NotHealthy`], when a service ends or turns unhealthy, Compose fails, or the deadline passes.
pub fn up(
    project: &Project,
    deadline: Duration,
    interrupt: &Interrupt,
    terminal: &Terminal,
) -> Result<Vec<ServiceHealth>> {
    let configured = project.services()?;
    let stop = Interrupt::default();
    let (services, end, output) = std::thread::scope(|scope| -> Result<_> {
        // Compose waits for dependencies; this thread watches and reports.
        let compose = scope.spawn(|| project.up(&stop));
        let started = Instant::now();
        let mut watch = Watch { started, reported: BTreeMap::new(), alive: BTreeSet::new(), terminal };
        let watched = watch.until_end(project, &configured, deadline, interrupt, || compose.is_finished());
        // Whatever the result is, Compose must not keep running.
        stop.set();
        let compose = compose.join().map_err(|_| anyhow!("the thread that ran compose panicked"))?;
        let (services, end) = watched?;
        let compose = compose.context("cannot start the stack")?;
        Ok(match (compose.success, end) {
            (true, end) => (services, end, String::new()),
            (false, WatchEnd::AllHealthy) => (services, WatchEnd::ComposeFailed, compose.output),
            (false, end) => (services, end, compose.output),
        })
    })?;
    if end == WatchEnd::AllHealthy {
        return Ok(services);
    }
    let class = Cause::of_step(&output, "").class();
    let error = not_healthy(project, services, end, &output, deadline);
    if class.is_environment() {
        return Err(Failure::new(class, error.to_string(), class.remedy()).into());
    }
    Err(error.into())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchEnd {
    AllHealthy,
    ServiceFailed,
    DeadlinePassed,
    ComposeFailed,
}

/// Follows the services of a stack while Compose starts them.
struct Watch<'a> {
    started: Instant,
    /// The last condition seen of each service.
    reported: BTreeMap<String, ServiceCondition>,
    /// Services that were running or waiting since Compose started; before that, an ended container is an old one.
    alive: BTreeSet<String>,
    terminal: &'a Terminal,
}

impl Watch<'_> {
    fn until_end(
        &mut self,
        project: &Project,
        configured: &BTreeMap<String, ComposeService>,
        deadline: Duration,
        interrupt: &Interrupt,
        is_finished: impl Fn() -> bool,
    ) -> Result<(Vec<ServiceHealth>, WatchEnd)> {
        let mut services = Vec::new();
        let end = wait::poll(POLL_INTERVAL, deadline, interrupt, || {
            // Read before the containers, so that they are what Compose left behind.
            let finished = is_finished();
            services = health::of(configured, &project.containers()?);
            let mut has_failed = false;
            for service in &services {
                if !service.condition.has_failed() {
                    self.alive.insert(service.service.clone());
                }
                if finished || self.alive.contains(&service.service) {
                    self.report(service);
                    has_failed |= service.condition.has_failed();
                }
            }
            let any = |condition| services.iter().any(|service| service.condition == condition);
            Ok(match finished {
                true if services.iter().all(ServiceHealth::is_healthy) => Some(WatchEnd::AllHealthy),
                _ if has_failed => Some(WatchEnd::ServiceFailed),
                true if any(ServiceCondition::NotStarted) => Some(WatchEnd::ComposeFailed),
                _ => None,
            })
        })?;
        Ok((services, end.unwrap_or(WatchEnd::DeadlinePassed)))
    }

    /// Reports a service that became healthy or failed, once.
    fn report(&mut self, service: &ServiceHealth) {
        let last = self.reported.insert(service.service.clone(), service.condition);
        let style = match service.condition {
            condition if last == Some(condition) => return,
            ServiceCondition::NotStarted | ServiceCondition::Starting => return,
            ServiceCondition::Healthy => Style::Good,
            ServiceCondition::Unhealthy | ServiceCondition::Ended => Style::Bad,
        };
        let condition = self.terminal.paint(style, service.condition.name());
        let seconds = self.started.elapsed().as_secs_f64();
        self.terminal.say(format!("{:18} {condition} ({seconds:.1} s)", service.service));
    }
}

fn not_healthy(
    project: &Project,
    services: Vec<ServiceHealth>,
    end: WatchEnd,
    output: &str,
    deadline: Duration,
) -> NotHealthy {
    let port_is_taken = Cause::of_step(output, "") == Cause::PortInUse;
    let failed = services.into_iter().filter(|service| !service.is_healthy());
    let with_log = |service: ServiceHealth| {
        let log = project.last_lines(&service.service, SHOWN_LINES).unwrap_or_else(|error| error.to_string());
        (service, log)
    };
    let services = failed.map(with_log).collect();
    let reason = match end {
        WatchEnd::DeadlinePassed => format!("not all healthy within {} s (--timeout)", deadline.as_secs()),
        // Compose was stopped by this program; its output only says so.
        WatchEnd::ServiceFailed => String::new(),
        WatchEnd::AllHealthy | WatchEnd::ComposeFailed => tail(output, 4),
    };
    NotHealthy { services, reason, port_is_taken }
}
