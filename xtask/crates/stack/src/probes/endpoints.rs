//! Where the services of a stack are asked.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::deploy::health::Condition;
use engine::compose::{ComposeContainer, Project};
use host::interrupt::Interrupt;
use host::wait;
use model::manifest::Service;

/// Between two looks at containers that are still starting.
const PAUSE: Duration = Duration::from_millis(200);

/// By the manifest's name of a service: the host and port at which it is asked, or why it cannot be.
pub type Doors = BTreeMap<String, Result<String, String>>;

/// Waits until no container of these services is starting any more, and says where each is asked.
///
/// # Errors
/// When docker cannot be asked, or the person interrupts.
pub fn open(
    project: &Project,
    services: &[&Service],
    patience: Duration,
    interrupt: &Interrupt,
) -> Result<Doors> {
    let mut doors = Doors::new();
    wait::poll(PAUSE, patience, interrupt, || {
        let containers = project.containers()?;
        let container = |service: &Service| containers.iter().find(|found| found.service == service.compose);
        let is_starting = |service: &&Service| {
            container(service).is_some_and(|found| Condition::of(found) == Condition::Starting)
        };
        doors = services
            .iter()
            .map(|service| (service.name.clone(), door(service, container(service))))
            .collect();
        Ok((!services.iter().any(is_starting)).then_some(()))
    })?;
    Ok(doors)
}

fn door(service: &Service, container: Option<&ComposeContainer>) -> Result<String, String> {
    let Some(container) = container else {
        return Err(format!("{} has no container: `cargo xtask deploy install` starts it", service.compose));
    };
    if container.state != "running" {
        let how = match container.state.as_str() {
            "exited" => format!("has ended (exit code {})", container.exit_code),
            state => format!("is not running ({state})"),
        };
        return Err(format!("{} {how}: `cargo xtask deploy logs {0}` says why", service.compose));
    }
    container.published(service.port).ok_or_else(|| {
        format!("{} does not publish its port {}: add it to `ports`", service.compose, service.port)
    })
}
