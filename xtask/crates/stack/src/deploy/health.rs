//! How the services of a stack are, as data.

use std::collections::BTreeMap;

use serde::Serialize;

use engine::compose::{ComposeContainer, ComposeService};

/// How one service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// Running, and its health check says so; or running where there is none.
    Healthy,
    /// Running, not healthy yet.
    Starting,
    /// There is no container, or one that has not been started.
    Absent,
    /// Its health check says no.
    Unhealthy,
    /// It ended.
    Ended,
}

impl Condition {
    /// Of a container.
    pub fn of(container: &ComposeContainer) -> Condition {
        match (container.state.as_str(), container.health.as_str()) {
            ("running", "healthy" | "") => Condition::Healthy,
            ("running", "unhealthy") => Condition::Unhealthy,
            ("running", _) => Condition::Starting,
            ("created", _) => Condition::Absent,
            _ => Condition::Ended,
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Condition::Healthy => "healthy",
            Condition::Starting => "starting",
            Condition::Absent => "not started",
            Condition::Unhealthy => "unhealthy",
            Condition::Ended => "ended",
        }
    }

    /// Whether waiting any longer is in vain.
    pub fn is_lost(self) -> bool {
        matches!(self, Condition::Unhealthy | Condition::Ended)
    }
}

/// One service of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceHealth {
    /// The service's name in the Compose file.
    pub service: String,
    /// The image that its container runs; the one it would run where there is none.
    pub image: String,
    /// How it is.
    pub condition: Condition,
}

/// Every configured service with its condition, in the order of names.
pub fn of(
    configured: &BTreeMap<String, ComposeService>,
    containers: &[ComposeContainer],
) -> Vec<ServiceHealth> {
    let one = |(service, configured): (&String, &ComposeService)| {
        let container = containers.iter().find(|container| container.service == *service);
        ServiceHealth {
            service: service.clone(),
            image: container.map_or(&configured.image, |container| &container.image).clone(),
            condition: container.map_or(Condition::Absent, Condition::of),
        }
    };
    configured.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(state: &str, health: &str) -> Condition {
        Condition::of(&ComposeContainer {
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
    fn docker_s_words_are_understood() {
        for (state, health, expected) in [
            ("running", "healthy", Condition::Healthy),
            ("running", "", Condition::Healthy),
            ("running", "starting", Condition::Starting),
            ("running", "unhealthy", Condition::Unhealthy),
            ("created", "", Condition::Absent),
            ("exited", "", Condition::Ended),
            ("restarting", "unhealthy", Condition::Ended),
            ("dead", "healthy", Condition::Ended),
        ] {
            assert_eq!(condition(state, health), expected, "{state} {health}");
        }
    }
}
