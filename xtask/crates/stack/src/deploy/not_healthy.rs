//! The error of a failed deployment: what is running, what is not, and how to continue.

use std::collections::BTreeMap;
use std::fmt;

use engine::compose::ComposeService;
use host::failure::Failure;

use crate::deploy::health::ServiceHealth;

/// A stack change that failed or was interrupted.
#[derive(Debug)]
pub struct NotHealthy {
    /// All services that the change covers.
    pub(super) services: Vec<ServiceHealth>,
    /// Their configuration, by name.
    pub(super) configured: BTreeMap<String, ComposeService>,
    /// Services that failed or missed the deadline, with their last log lines.
    pub(super) logs: Vec<(String, String)>,
    pub(super) is_interrupted: bool,
    /// The reason if it is not a failed service; otherwise empty.
    pub(super) reason: String,
    pub(super) port_is_taken: bool,
    /// How to continue; empty if the stack is removed.
    pub(super) help: String,
}

impl NotHealthy {
    /// Compose could not start the container. `output`: its last lines.
    pub(crate) fn of_compose(output: String) -> NotHealthy {
        NotHealthy {
            services: Vec::new(),
            configured: BTreeMap::new(),
            logs: Vec::new(),
            is_interrupted: false,
            reason: output,
            port_is_taken: false,
            help: String::new(),
        }
    }

    /// Whether another process uses a port to publish.
    pub fn port_is_taken(&self) -> bool {
        self.port_is_taken
    }

    /// In one line: the first service that failed, with the last line of its log.
    pub fn summary(&self) -> String {
        let Some(service) = self.services.iter().find(|service| !service.is_fine()) else {
            return self.reason.lines().last().unwrap_or_default().to_owned();
        };
        let log = self.logs.iter().find(|(name, _)| *name == service.service).map(|(_, log)| log.as_str());
        match log.unwrap_or_default().lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!("{service}: {}", line.trim()),
            None => service.to_string(),
        }
    }

    /// The configuration of the services that are not fine.
    pub fn failed(&self) -> BTreeMap<String, ComposeService> {
        let failed = self.services.iter().filter(|service| !service.is_fine());
        let configured = |health: &ServiceHealth| self.configured.get_key_value(&health.service);
        failed.filter_map(configured).map(|(name, service)| (name.clone(), service.clone())).collect()
    }

    /// Turns a port conflict into a machine failure; returns any other error unchanged.
    pub fn blame_port(error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<NotHealthy>() {
            Ok(error) if error.port_is_taken => {
                let error = NotHealthy { help: String::new(), ..error };
                Failure::machine(error.to_string(), "stop the process that uses the port, then retry").into()
            }
            Ok(error) => error.into(),
            Err(error) => error,
        }
    }
}

impl fmt::Display for NotHealthy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |is_it: &dyn Fn(&ServiceHealth) -> bool| {
            let found = self.services.iter().filter(|service| is_it(service));
            found.map(|service| service.service.as_str()).collect::<Vec<_>>().join(", ")
        };
        if self.is_interrupted {
            f.write_str("interrupted; ")?;
        }
        match names(&|service| !service.is_fine()).as_str() {
            "" if self.services.is_empty() => f.write_str("docker compose could not start the container")?,
            "" => f.write_str("docker compose did not finish, but all services are healthy")?,
            names => write!(f, "not healthy: {names}")?,
        }
        if !self.reason.is_empty() {
            write!(f, "\n  {}", self.reason.replace('\n', "\n  "))?;
        }
        for service in self.services.iter().filter(|service| !service.is_fine()) {
            write!(f, "\n  {} ({service}), image {}", service.service, service.image)?;
            let Some((_, log)) = self.logs.iter().find(|(name, _)| *name == service.service) else {
                continue;
            };
            let log = if log.trim().is_empty() { "its log is empty" } else { log };
            log.lines().try_for_each(|line| write!(f, "\n    {line}"))?;
        }
        let looked_at = [
            ("running", names(&|service| service.condition.runs())),
            ("not running", names(&|service| !service.condition.runs() && !service.is_fine())),
        ];
        for (what, names) in looked_at.iter().filter(|_| !self.services.is_empty()) {
            write!(f, "\n  {what}: {}", if names.is_empty() { "nothing" } else { names })?;
        }
        if self.help.is_empty() { Ok(()) } else { write!(f, "\nhelp: {}", self.help) }
    }
}

impl std::error::Error for NotHealthy {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::health::ServiceCondition::{self, Completed, Ended, Healthy, NotStarted, Starting};

    fn service(name: &str, condition: ServiceCondition, waits_for: &[&str]) -> ServiceHealth {
        let waits_for = waits_for.iter().map(|name| (*name).to_owned()).collect();
        ServiceHealth {
            service: name.into(),
            image: format!("{name}:1"),
            condition,
            container: None,
            replicas: (0, 1),
            waits_for,
        }
    }

    #[test]
    fn the_message_lists_the_state_of_services_and_the_next_step() {
        let mut error = NotHealthy {
            services: vec![
                service("api", NotStarted, &["db"]),
                service("db", Ended(3), &[]),
                service("init", Completed, &[]),
                service("page", Healthy, &[]),
                service("web", Starting, &[]),
            ],
            configured: BTreeMap::new(),
            logs: vec![("db".into(), "no disk\nbye\n".into())],
            is_interrupted: false,
            reason: String::new(),
            port_is_taken: false,
            help: "do it again".into(),
        };
        let text = "not healthy: api, db, web\n  api (not started, needs db), image api:1\n  db (ended, exit code 3), image db:1\n    \
                    no disk\n    bye\n  web (starting), image web:1\n  running: page, web\n  not running: api, db\nhelp: do it again";
        assert_eq!(error.to_string(), text);
        error.is_interrupted = true;
        assert_eq!(error.to_string(), format!("interrupted; {text}"));
    }
}
