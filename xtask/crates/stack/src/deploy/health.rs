//! The health of a stack's services.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

use anyhow::Result;

use engine::compose::{ComposeService, Project, lifetime};
use engine::containers::ContainerInspect;
use engine::labels;

pub use crate::deploy::condition::ServiceCondition;

/// One service of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHealth {
    /// The service's name in the Compose file.
    pub service: String,
    /// The image of its worst container; the configured image if it has no container.
    pub image: String,
    /// The condition of its worst container. A missing container counts as not started.
    pub condition: ServiceCondition,
    /// The ID of its worst container.
    pub container: Option<String>,
    /// How many of its containers are fine, and how many are configured.
    pub replicas: (u32, u32),
    /// Its failed direct and indirect dependencies; empty unless it is not started.
    pub waits_for: Vec<String>,
}

impl ServiceHealth {
    /// Whether all its containers exist and are fine.
    pub fn is_fine(&self) -> bool {
        self.condition.is_fine()
    }
}

/// The condition, the replicas if there are several, and the failed dependencies.
impl fmt::Display for ServiceHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.condition)?;
        let (fine, wanted) = self.replicas;
        if wanted > 1 {
            write!(f, ", {fine} of {wanted} replicas")?;
        }
        match self.waits_for.as_slice() {
            [] => Ok(()),
            names => write!(f, ", needs {}", names.join(", ")),
        }
    }
}

/// The current health of a project's services.
///
/// # Errors
/// When Compose cannot read its files, or docker fails.
pub fn look(project: &Project) -> Result<Vec<ServiceHealth>> {
    let config = project.started()?;
    let containers = project.docker().project_containers(&config.name)?;
    Ok(of(&config.services, &containers, project.docker().now()?))
}

/// The health of all configured services, sorted by name. `now`: the engine's clock.
pub fn of(
    configured: &BTreeMap<String, ComposeService>,
    containers: &[ContainerInspect],
    now: SystemTime,
) -> Vec<ServiceHealth> {
    let one = |(name, service): (&String, &ComposeService)| {
        let own = containers.iter().filter(|container| container.label(labels::COMPOSE_SERVICE) == name);
        // Containers that are being removed do not count.
        let own: Vec<&ContainerInspect> = own.filter(|found| found.state.status != "removing").collect();
        let lifetime = lifetime(configured, name);
        let condition = |found: &&ContainerInspect| ServiceCondition::of(found, lifetime, now);
        let wanted = service.replicas();
        let fine = own.iter().filter(|found| condition(found).is_fine()).count();
        let is_short = u32::try_from(own.len()).is_ok_and(|count| count < wanted);
        let missing = is_short.then_some(ServiceCondition::NotStarted);
        let worst = own.iter().copied().max_by_key(condition);
        ServiceHealth {
            service: name.clone(),
            image: worst.map_or(&service.image, |found| &found.config.image).clone(),
            condition: worst
                .as_ref()
                .map(condition)
                .into_iter()
                .chain(missing)
                .max()
                .unwrap_or(ServiceCondition::NotWanted),
            container: worst.map(|found| found.id.clone()),
            replicas: (u32::try_from(fine).unwrap_or(u32::MAX), wanted),
            waits_for: Vec::new(),
        }
    };
    let mut services: Vec<ServiceHealth> = configured.iter().map(one).collect();
    blame(&mut services, configured);
    services
}

/// Records which failed services prevent others from starting.
fn blame(services: &mut [ServiceHealth], configured: &BTreeMap<String, ComposeService>) {
    let failed = services.iter().filter(|service| service.condition.has_failed());
    let failed: BTreeSet<String> = failed.map(|service| service.service.clone()).collect();
    for service in services.iter_mut().filter(|service| service.condition == ServiceCondition::NotStarted) {
        let needed = engine::compose::with_dependencies(configured, std::slice::from_ref(&service.service));
        service.waits_for = needed.intersection(&failed).cloned().collect();
    }
}

#[cfg(test)]
mod tests {
    use engine::compose::ComposeConfig;
    use serde_json::json;

    use super::*;

    fn stack() -> BTreeMap<String, ComposeService> {
        let config = json!({ "services": {
            "init": {},
            "none": { "scale": 0 },
            "page": { "depends_on": { "web": { "condition": "service_started" } } },
            "web": { "image": "w", "deploy": { "replicas": 2 },
                "depends_on": { "init": { "condition": "service_completed_successfully" } } },
        }});
        serde_json::from_value::<ComposeConfig>(config).unwrap().services
    }

    fn container(service: &str, state: &str, health: Option<&str>, exit_code: i32) -> ContainerInspect {
        let health = health.map(|status| json!({ "Status": status }));
        serde_json::from_value(json!({
            "Config": { "Image": "w:old", "Labels": { labels::COMPOSE_SERVICE: service } },
            "State": { "Status": state, "ExitCode": exit_code, "Health": health },
        }))
        .unwrap()
    }

    fn told(containers: &[ContainerInspect]) -> Vec<String> {
        let services = of(&stack(), containers, SystemTime::UNIX_EPOCH);
        services.iter().map(|service| format!("{}: {service}", service.service)).collect()
    }

    #[test]
    fn every_replica_counts_and_a_service_without_any_is_fine() {
        let [healthy, ill] =
            ["healthy", "unhealthy"].map(|health| container("web", "running", Some(health), 0));
        let (init, page) =
            (container("init", "exited", None, 0), container("page", "running", Some("healthy"), 0));
        let all =
            of(&stack(), &[init.clone(), page.clone(), healthy.clone(), healthy.clone()], SystemTime::now());
        assert!(all.iter().all(ServiceHealth::is_fine), "{all:?}");
        assert_eq!((all[1].service.as_str(), all[1].condition), ("none", ServiceCondition::NotWanted));
        for pair in [[healthy.clone(), ill.clone()], [ill, healthy.clone()]] {
            let lines = told(&[&[init.clone(), page.clone()], pair.as_slice()].concat());
            assert_eq!(lines[3], "web: unhealthy, 1 of 2 replicas");
        }
        let removed = container("web", "removing", None, 137);
        assert_eq!(told(&[init, page, healthy, removed])[3], "web: not started, 1 of 2 replicas");
    }

    #[test]
    fn the_service_to_blame_is_named() {
        let lines = told(&[container("init", "exited", None, 3)]);
        assert_eq!(
            lines,
            [
                "init: ended, exit code 3",
                "none: no replicas",
                "page: not started, needs init",
                "web: not started, 0 of 2 replicas, needs init"
            ]
        );
    }
}
