//! The condition of one container.

use std::fmt;
use std::time::{Duration, SystemTime};

use engine::compose::Lifetime;
use engine::containers::ContainerInspect;
use engine::docker::time;

/// How long a container without a health check must run before it counts as healthy. The engine also considers a start
/// successful after this time (Docker documentation, "Start containers automatically").
const SETTLED: Duration = Duration::from_secs(10);

/// Number of restarts by the engine that count as a crash loop. A service may exit once or twice until its dependencies are up.
const LOOP: u32 = 3;

/// The condition of a container, or of a service's worst container. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceCondition {
    /// Scaled to zero in the Compose file.
    NotWanted,
    /// Exited with code 0, as expected.
    Completed,
    /// Running, and its health check passes; without a health check: running for at least 10 s.
    Healthy,
    /// Running, but not healthy yet.
    Starting,
    /// Exited with this code; the engine is restarting it.
    Restarting(i32),
    /// No container, or one that was never started.
    NotStarted,
    /// Running, but its health check fails.
    Unhealthy,
    /// Paused, for example by `docker pause`.
    Paused,
    /// Exited with this code, and restarted at least three times without becoming healthy. The code is unknown while it is
    /// running again.
    CrashLoop(Option<i32>),
    /// Exited with this code.
    Ended(i32),
}

impl ServiceCondition {
    /// Derives the condition from a container's state. `now`: the engine's clock.
    pub fn of(container: &ContainerInspect, lifetime: Lifetime, now: SystemTime) -> ServiceCondition {
        use ServiceCondition::{
            Completed, CrashLoop, Ended, Healthy, NotStarted, Paused, Restarting, Starting, Unhealthy,
        };
        let state = &container.state;
        let health = state.health.as_ref().map(|health| health.status.as_str());
        let is_looping = container.restart_count >= LOOP;
        match (state.status.as_str(), health) {
            ("created", _) => NotStarted,
            ("paused", _) => Paused,
            ("restarting", _) if is_looping => CrashLoop(Some(state.exit_code)),
            ("restarting", _) => Restarting(state.exit_code),
            ("running", Some("unhealthy")) => Unhealthy,
            ("running", Some("healthy")) if lifetime != Lifetime::Ends => Healthy,
            ("running", None | Some("none"))
                if lifetime != Lifetime::Ends && has_settled(&state.started_at, now) =>
            {
                Healthy
            }
            ("running", _) if is_looping => CrashLoop(None),
            ("running", _) => Starting,
            _ if lifetime != Lifetime::Stays && state.exit_code == 0 => Completed,
            // Between restarts, or after the engine has given up.
            _ if is_looping => CrashLoop(Some(state.exit_code)),
            _ => Ended(state.exit_code),
        }
    }

    /// Whether it is healthy, completed or not wanted.
    pub fn is_fine(self) -> bool {
        self <= ServiceCondition::Healthy
    }

    /// Whether waiting cannot fix it.
    pub fn has_failed(self) -> bool {
        self >= ServiceCondition::Unhealthy
    }

    /// Whether its process is running or paused, but not in a crash loop.
    pub fn runs(self) -> bool {
        use ServiceCondition::{Healthy, Paused, Starting, Unhealthy};
        matches!(self, Healthy | Starting | Unhealthy | Paused)
    }
}

/// The text for tables and messages.
impl fmt::Display for ServiceCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceCondition::NotWanted => f.write_str("no replicas"),
            ServiceCondition::Completed => f.write_str("completed"),
            ServiceCondition::Healthy => f.write_str("healthy"),
            ServiceCondition::Starting => f.write_str("starting"),
            ServiceCondition::Restarting(code) => write!(f, "restarting, exit code {code}"),
            ServiceCondition::NotStarted => f.write_str("not started"),
            ServiceCondition::Unhealthy => f.write_str("unhealthy"),
            ServiceCondition::Paused => f.write_str("paused"),
            ServiceCondition::CrashLoop(None) => f.write_str("crash loop"),
            ServiceCondition::CrashLoop(Some(code)) => write!(f, "crash loop, exit code {code}"),
            ServiceCondition::Ended(code) => write!(f, "ended, exit code {code}"),
        }
    }
}

fn has_settled(started_at: &str, now: SystemTime) -> bool {
    let since = time(started_at).and_then(|start| now.duration_since(start).ok());
    since.is_some_and(|since| since >= SETTLED)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ServiceCondition::*;
    use super::*;

    const START: &str = "2026-01-01T00:00:00Z";

    /// The conditions of a container `seconds` after its start, one for each `Lifetime`.
    fn after(
        seconds: u64,
        state: &str,
        health: &str,
        exit_code: i32,
        restarts: u32,
    ) -> [ServiceCondition; 3] {
        let health = if health.is_empty() { json!(null) } else { json!({ "Status": health }) };
        let state = json!({ "Status": state, "StartedAt": START, "ExitCode": exit_code, "Health": health });
        let container = serde_json::from_value(json!({ "RestartCount": restarts, "State": state })).unwrap();
        let now = time(START).unwrap() + Duration::from_secs(seconds);
        [Lifetime::Stays, Lifetime::MayEnd, Lifetime::Ends]
            .map(|lifetime| ServiceCondition::of(&container, lifetime, now))
    }

    #[test]
    fn a_health_check_decides_where_there_is_one() {
        for (state, health, stays, may_end, ends) in [
            ("running", "healthy", Healthy, Healthy, Starting),
            ("running", "starting", Starting, Starting, Starting),
            ("running", "unhealthy", Unhealthy, Unhealthy, Unhealthy),
            ("paused", "healthy", Paused, Paused, Paused),
            ("created", "", NotStarted, NotStarted, NotStarted),
            ("exited", "unhealthy", Ended(0), Completed, Completed),
            ("dead", "healthy", Ended(0), Completed, Completed),
        ] {
            assert_eq!(after(3600, state, health, 0, 0), [stays, may_end, ends], "{state} {health}");
        }
        assert_eq!(after(60, "exited", "", 3, 0), [Ended(3); 3]);
    }

    #[test]
    fn without_a_health_check_a_container_must_run_for_a_while() {
        assert_eq!(after(9, "running", "", 0, 0), [Starting; 3]);
        assert_eq!(after(10, "running", "", 0, 0), [Healthy, Healthy, Starting]);
        assert_eq!(after(10, "running", "none", 0, 9), [Healthy, Healthy, CrashLoop(None)]);
    }

    #[test]
    fn a_crash_loop_is_seen_while_it_runs_and_while_it_waits() {
        assert_eq!(after(1, "restarting", "", 1, 1)[0], Restarting(1));
        assert_eq!(after(1, "running", "", 0, 2)[0], Starting);
        assert_eq!(after(1, "restarting", "", 1, 3)[0], CrashLoop(Some(1)));
        assert_eq!(after(1, "running", "", 0, 3)[0], CrashLoop(None));
        assert_eq!(after(1, "exited", "", 5, 3)[0], CrashLoop(Some(5)));
        assert_eq!(after(1, "running", "starting", 0, 3)[0], CrashLoop(None));
        assert_eq!(after(1, "running", "healthy", 0, 7)[0], Healthy);
    }
}
