//! The health of a stack's services.

use std::collections::BTreeMap;

use engine::compose::{ComposeContainer, ComposeService};

/// The condition of one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCondition {
    /// Running, and its health check passes or does not exist.
    Healthy,
    /// Running, but not healthy yet.
    Starting,
    /// No container, or one that was never started.
    NotStarted,
    /// Running, but its health check fails.
    Unhealthy,
    /// Its container ended.
    Ended,
}

impl ServiceCondition {
    /// From a container's state and health.
    pub fn of(container: &ComposeContainer) -> ServiceCondition {
        match (container.state.as_str(), container.health.as_str()) {
            ("running", "healthy" | "") => ServiceCondition::Healthy,
            ("running", "unhealthy") => ServiceCondition::Unhealthy,
            ("running", _) => ServiceCondition::Starting,
            ("created", _) => ServiceCondition::NotStarted,
            _ => ServiceCondition::Ended,
        }
    }

    /// As tables and messages name it.
    pub fn name(self) -> &'static str {
        match self {
            ServiceCondition::Healthy => "healthy",
            ServiceCondition::Starting => "starting",
            ServiceCondition::NotStarted => "not started",
            ServiceCondition::Unhealthy => "unhealthy",
            ServiceCondition::Ended => "ended",
        }
    }

    /// Whether waiting cannot make it healthy.
    pub fn has_failed(self) -> bool {
        matches!(self, ServiceCondition::Unhealthy | ServiceCondition::Ended)
    }
}

/// One service of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHealth {
    /// The service's name in the Compose file.
    pub service: String,
    /// The image its container runs, or would run.
    pub image: String,
    /// How it is.
    pub condition: ServiceCondition,
}

impl ServiceHealth {
    /// Whether it is healthy.
    pub fn is_healthy(&self) -> bool {
        self.condition == ServiceCondition::Healthy
    }
}

/// The health of all configured services, sorted by name.
pub fn of(
    configured: &BTreeMap<String, ComposeService>,
    containers: &[ComposeContainer],
) -> Vec<ServiceHealth> {
    let one = |(service, configured): (&String, &ComposeService)| {
        let container = containers.iter().find(|container| container.service == *service);
        ServiceHealth {
            service: service.clone(),
            image: container.map_or(&configured.image, |container| &container.image).clone(),
            condition: container.map_or(ServiceCondition::NotStarted, ServiceCondition::of),
        }
    };
    configured.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(state: &str, health: &str) -> ServiceCondition {
        ServiceCondition::of(&ComposeContainer {
            service: "a".into(),
            id: "1".into(),
            state: state.into(),
            health: health.into(),
            image: String::new(),
            exit_code: 0,
            publishers: None,
        })
    }

    #[test]
    fn docker_states_map_to_conditions() {
        for (state, health, expected) in [
            ("running", "healthy", ServiceCondition::Healthy),
            ("running", "", ServiceCondition::Healthy),
            ("running", "starting", ServiceCondition::Starting),
            ("running", "unhealthy", ServiceCondition::Unhealthy),
            ("created", "", ServiceCondition::NotStarted),
            ("exited", "", ServiceCondition::Ended),
            ("restarting", "unhealthy", ServiceCondition::Ended),
            ("dead", "healthy", ServiceCondition::Ended),
        ] {
            assert_eq!(condition(state, health), expected, "{state} {health}");
        }
    }
}
