//! What Swarm does differently from Compose: unsupported settings, restarts and updates.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::swarm::plan::Expected;
use crate::swarm::service::Conversion;
use engine::compose::cluster::{ClusterService, ClusterUpdate, Ulimit};

/// How long a new container is watched after it has become healthy.
const MONITOR: &str = "5s";

/// Notes the settings that are dropped, and rejects services that need an unsupported setting.
pub(super) fn report(name: &str, compose: &ClusterService, conversion: &mut Conversion<'_>) {
    refuse(name, compose, conversion);
    let no_new_privileges =
        |option: &&String| option.starts_with("no-new-privileges") && !option.ends_with("false");
    for option in &compose.security_opt {
        let setting = option.split([':', '=']).next().unwrap_or_default();
        let instead = match Some(option).filter(no_new_privileges) {
            Some(_) => {
                "unsupported in stack files; set-user-ID programs in the image can gain their owner's privileges"
            }
            None => "unsupported in stack files; the engine's default applies",
        };
        conversion.note(name, format!("security_opt: {setting}"), instead);
    }
    if !compose.depends_on.is_empty() {
        let instead =
            "all services start at once; a service that exits because another is not up is restarted";
        conversion.note(name, "depends_on", instead);
    }
    let ignored = [
        ("container_name", compose.container_name.is_some(), "Swarm names the containers"),
        ("group_add", !compose.group_add.is_empty(), "ignored; the process may lack access to files"),
        ("domainname", compose.domainname.is_some(), "ignored"),
        ("dns_opt", !compose.dns_opt.is_empty(), "ignored"),
        ("platform", compose.platform.is_some(), "nodes are chosen by the platforms of the pushed image"),
        ("userns_mode", compose.userns_mode.is_some(), "the engine's setting applies"),
        ("ipc", compose.ipc.is_some(), "each container has its own"),
        ("entrypoint: []", compose.entrypoint.as_ref().is_some_and(Vec::is_empty), "the image's entrypoint"),
    ];
    for (setting, is_set, instead) in ignored {
        if is_set {
            conversion.note(name, setting, instead);
        }
    }
}

fn refuse(name: &str, compose: &ClusterService, conversion: &mut Conversion<'_>) {
    let namespace =
        |value: &Option<String>| value.as_ref().is_some_and(|value| value == "host" || value.contains(':'));
    let mode = compose.network_mode.as_deref().unwrap_or_default();
    let jobs = compose.deploy.mode.as_deref().is_some_and(|mode| mode.ends_with("-job"));
    let refused = [
        ("privileged", compose.privileged),
        ("devices", !compose.devices.is_empty()),
        ("volumes_from", !compose.volumes_from.is_empty()),
        ("pid", compose.pid.is_some()),
        ("ipc", namespace(&compose.ipc)),
        ("network_mode", !matches!(mode, "" | "bridge" | "default")),
        ("deploy.mode: jobs", jobs),
    ];
    for (setting, _) in refused.into_iter().filter(|(_, is_set)| *is_set) {
        let help = "remove these settings, or put the services into a profile and run them with Compose";
        conversion.fault(name, format!("not supported on a swarm: `{setting}`"), help);
    }
}

/// Ulimits in the stack file.
pub(super) fn ulimits(compose: &ClusterService) -> BTreeMap<&str, Value> {
    let text = |limit: &Ulimit| match limit {
        Ulimit::Single(both) => json!(both),
        Ulimit::Pair { soft, hard } => json!({ "soft": soft, "hard": hard }),
    };
    compose.ulimits.iter().map(|(name, limit)| (name.as_str(), text(limit))).collect()
}

/// When containers are restarted.
pub(super) fn restart_policy(
    name: &str,
    compose: &ClusterService,
    expected: Expected,
    conversion: &mut Conversion<'_>,
) -> Value {
    if let Some(policy) = &compose.deploy.restart_policy {
        return json!({
            "condition": policy.condition, "delay": policy.delay,
            "max_attempts": policy.max_attempts, "window": policy.window,
        });
    }
    let restart = compose.restart.as_deref();
    match restart.map(|text| text.split_once(':').unwrap_or((text, ""))) {
        // It may fail until its dependencies are up.
        _ if matches!(expected, Expected::Completed(_)) => {
            if matches!(restart, None | Some("no")) {
                let setting = restart.map_or("no `restart`".to_owned(), |value| format!("restart: {value}"));
                conversion.note(name, setting, "restarted until it exits with 0");
            }
            json!({ "condition": "on-failure" })
        }
        Some(("no", _)) => json!({ "condition": "none" }),
        Some(("on-failure", attempts)) => {
            json!({ "condition": "on-failure", "max_attempts": attempts.parse::<u64>().ok() })
        }
        Some(_) => json!({ "condition": "any" }),
        None => {
            conversion.note(name, "no `restart`", "restarted whenever it exits");
            json!({ "condition": "any" })
        }
    }
}

/// How containers are replaced.
pub(super) fn update(
    name: &str,
    compose: &ClusterService,
    stop_first: bool,
    conversion: &mut Conversion<'_>,
) -> Value {
    let set = compose.deploy.update_config.as_ref();
    if stop_first && set.and_then(|set| set.order.as_deref()) == Some("start-first") {
        let instead = "stop-first, so that two containers never share its data or its host ports";
        conversion.note(name, "deploy.update_config.order: start-first", instead);
    }
    changes(set, stop_first, Some("rollback"))
}

/// How a failed update is rolled back.
pub(super) fn rollback(compose: &ClusterService, stop_first: bool) -> Value {
    changes(compose.deploy.rollback_config.as_ref(), stop_first, None)
}

fn changes(set: Option<&ClusterUpdate>, stop_first: bool, failure_action: Option<&str>) -> Value {
    let text = |value: Option<&String>, default: Option<&str>| {
        value.map(String::as_str).or(default).map(str::to_owned)
    };
    let order = match set.and_then(|set| set.order.as_deref()) {
        Some(order) if !stop_first => order,
        _ if stop_first => "stop-first",
        _ => "start-first",
    };
    json!({
        "parallelism": set.and_then(|set| set.parallelism).unwrap_or(1),
        "delay": set.and_then(|set| set.delay.clone()),
        "failure_action": text(set.and_then(|set| set.failure_action.as_ref()), failure_action),
        "monitor": text(set.and_then(|set| set.monitor.as_ref()), Some(MONITOR)),
        "max_failure_ratio": set.and_then(|set| set.max_failure_ratio.as_ref()).and_then(|ratio| ratio.parse::<f64>().ok()),
        "order": order,
    })
}
