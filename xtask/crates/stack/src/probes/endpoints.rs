//! The addresses at which a stack's services answer.

use host::program::PROGRAM;
use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use engine::compose::{ComposeContainer, Project};
use host::interrupt::Interrupt;
use host::wait;
use model::manifest::Service;

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// By the service's name in the manifest: its host and port, or why it has none.
pub(crate) type Endpoints = BTreeMap<String, Result<String, String>>;

/// A service's host and port, or why it has none.
pub(crate) fn endpoint<'e>(endpoints: &'e Endpoints, service: &str) -> Result<&'e str, String> {
    match endpoints.get(service) {
        Some(Ok(host)) => Ok(host),
        Some(Err(reason)) => Err(reason.clone()),
        None => Err(format!("{service} is not part of this stack")),
    }
}

/// Waits until no container of these services is starting, for at most `timeout`, and returns their addresses.
pub(crate) fn find(
    project: &Project,
    services: &[&Service],
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<Endpoints> {
    let mut endpoints = Endpoints::new();
    wait::poll(POLL_INTERVAL, timeout, interrupt, || {
        let containers = project.containers()?;
        let container =
            |service: &Service| containers.iter().find(|found| service.is_compose(&found.service));
        let is_starting = |service: &&Service| container(service).is_some_and(ComposeContainer::is_starting);
        let one = |service: &&Service| (service.name.clone(), find_one(service, container(service)));
        endpoints = services.iter().map(one).collect();
        Ok((!services.iter().any(is_starting)).then_some(()))
    })?;
    Ok(endpoints)
}

fn find_one(service: &Service, container: Option<&ComposeContainer>) -> Result<String, String> {
    let Some(name) = &service.compose else {
        return Err(format!("{} is not in the Compose file: add `compose` to its table", service.name));
    };
    let Some(port) = service.port else {
        return Err(format!("{name} declares no port: add `port` to its table"));
    };
    let Some(container) = container else {
        return Err(format!("{name} has no container: start it with `{PROGRAM} deploy install`"));
    };
    match container.state.as_str() {
        "running" => container
            .published(port)
            .ok_or_else(|| format!("{name} does not publish its port {port}: add it to `ports`")),
        "exited" => Err(format!(
            "{name} exited with code {}: see `{PROGRAM} deploy logs {name}`",
            container.exit_code
        )),
        state => Err(format!("{name} is not running ({state}): see `{PROGRAM} deploy logs {name}`")),
    }
}
