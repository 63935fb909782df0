//! Bringing a stack up and waiting until every service is healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::deploy::health;
use crate::deploy::health::{Condition, ServiceHealth};
use engine::compose::{ComposeService, Project};
use engine::signs::Cause;
use host::interrupt::Interrupt;
use host::process::tail;
use host::terminal::{Style, Terminal};
use host::wait;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Lines of a log that are shown of a service that failed.
const SHOWN_LINES: u32 = 12;

/// A stack of which not every service is healthy.
#[derive(Debug)]
pub struct NotHealthy {
    services: Vec<(ServiceHealth, String)>,
    said: String,
    port_is_taken: bool,
}

impl NotHealthy {
    /// Whether a port that was to be published belongs to somebody else.
    pub fn port_is_taken(&self) -> bool {
        self.port_is_taken
    }
}

impl fmt::Display for NotHealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.services.iter().map(|(health, _)| health.service.as_str()).collect();
        match names.as_slice() {
            [] => f.write_str(
                "docker compose did not do all that it was told, though every service is healthy",
            )?,
            names => write!(f, "not healthy: {}", names.join(", "))?,
        }
        if !self.said.is_empty() {
            write!(f, "\n  {}", self.said.replace('\n', "\n  "))?;
        }
        for (health, log) in &self.services {
            write!(f, "\n  {} ({}), image {}", health.service, health.condition.words(), health.image)?;
            if log.trim().is_empty() {
                write!(f, "\n    its log is empty")?;
            }
            for line in log.lines() {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for NotHealthy {}

/// Brings a project up and follows it until all are healthy. Says each service as it gets there.
///
/// # Errors
/// [`NotHealthy`] with the last lines of what each service said, when one ends or turns unhealthy, when Compose gives up, or
/// when the deadline has passed.
pub fn rise(
    project: &Project,
    deadline: Duration,
    interrupt: &Interrupt,
    terminal: &Terminal,
) -> Result<Vec<ServiceHealth>> {
    let configured = project.services()?;
    let started = Instant::now();
    let end = Interrupt::default();
    let (now, verdict) = std::thread::scope(|scope| -> Result<_> {
        // Compose itself waits for dependencies; who looks on sees them come.
        let rising = scope.spawn(|| project.up(&end));
        let watched =
            watch(project, &configured, started, deadline, interrupt, terminal, || rising.is_finished());
        // Whatever the verdict is, nothing goes on behind it.
        end.set();
        let risen = rising.join().map_err(|_| anyhow::anyhow!("the thread that ran compose panicked"))?;
        let (now, verdict) = watched?;
        let risen = risen.context("cannot bring the stack up")?;
        // Who ended it knows why it did not end well.
        let gave_up = verdict == Verdict::AllHealthy && !risen.success;
        let said = if risen.success { String::new() } else { risen.output };
        let verdict = if gave_up { Verdict::GivenUp } else { verdict };
        Ok((now, (verdict, said)))
    })?;
    match verdict {
        (Verdict::AllHealthy, _) => Ok(now),
        (verdict, said) => Err(not_healthy(project, now, verdict, &said, deadline).into()),
    }
}

/// Why watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    AllHealthy,
    Lost,
    TooLate,
    GivenUp,
}

fn watch(
    project: &Project,
    configured: &BTreeMap<String, ComposeService>,
    started: Instant,
    deadline: Duration,
    interrupt: &Interrupt,
    terminal: &Terminal,
    is_over: impl Fn() -> bool,
) -> Result<(Vec<ServiceHealth>, Verdict)> {
    let mut said = BTreeMap::new();
    let mut alive = BTreeSet::new();
    let mut now = Vec::new();
    let verdict = wait::poll(PAUSE, deadline, interrupt, || {
        // Asked first: what is looked at afterwards is the stack that Compose left.
        let over = is_over();
        now = health::of(configured, &project.containers()?);
        for service in &now {
            if !service.condition.is_lost() {
                alive.insert(service.service.clone());
            }
            // What ended before is about to be started again.
            if over || alive.contains(&service.service) {
                tell(service, &mut said, started, terminal);
            }
        }
        if over && now.iter().all(|service| service.condition == Condition::Healthy) {
            return Ok(Some(Verdict::AllHealthy));
        }
        let is_lost = |service: &ServiceHealth| {
            service.condition.is_lost() && (over || alive.contains(&service.service))
        };
        if now.iter().any(is_lost) {
            return Ok(Some(Verdict::Lost));
        }
        if over && now.iter().any(|service| service.condition == Condition::Absent) {
            return Ok(Some(Verdict::GivenUp));
        }
        Ok(None)
    })?;
    Ok((now, verdict.unwrap_or(Verdict::TooLate)))
}

fn tell(
    service: &ServiceHealth,
    said: &mut BTreeMap<String, Condition>,
    started: Instant,
    terminal: &Terminal,
) {
    let known = said.insert(service.service.clone(), service.condition);
    if known == Some(service.condition)
        || matches!(service.condition, Condition::Absent | Condition::Starting)
    {
        return;
    }
    let style = if service.condition == Condition::Healthy { Style::Good } else { Style::Bad };
    let words = terminal.paint(style, service.condition.words());
    terminal.say(format!("{:18} {words} ({:.1} s)", service.service, started.elapsed().as_secs_f64()));
}

fn not_healthy(
    project: &Project,
    now: Vec<ServiceHealth>,
    verdict: Verdict,
    said: &str,
    deadline: Duration,
) -> NotHealthy {
    let port_is_taken = Cause::of_step(said, "") == Cause::PortInUse;
    let failed = now.into_iter().filter(|service| service.condition != Condition::Healthy);
    let with_log = |service: ServiceHealth| {
        let log = project.last_lines(&service.service, SHOWN_LINES).unwrap_or_else(|error| error.to_string());
        (service, log)
    };
    let services = failed.map(with_log).collect();
    let said = match verdict {
        Verdict::TooLate => format!("not all were healthy within {} s (--timeout)", deadline.as_secs()),
        // Ended from here, so that its own words are about that.
        Verdict::Lost => String::new(),
        Verdict::AllHealthy | Verdict::GivenUp => tail(said, 4),
    };
    NotHealthy { services, said, port_is_taken }
}
