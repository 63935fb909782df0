//! Compose keys without an equivalent, or with an equivalent that the cluster's operator must choose.

use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::plan::{Workload, WorkloadKind};
use engine::compose::cluster::{ClusterProject, ClusterService};

/// Translates placement, host names and the terminal, and reports unsupported keys.
pub(super) fn set(workload: &mut Workload, service: &ClusterService, gaps: &mut Gaps) {
    placement(workload, service, gaps);
    hosts(workload, service, gaps);
    (workload.tty, workload.stdin) = (service.tty, service.stdin_open);
    let name = workload.service.clone();
    let mut left_out = |is_set: bool, what: &str, instead: &str| {
        if is_set {
            gaps.add(&name, what, instead);
        }
    };
    let (network, own_kind) = (service.network_mode.as_deref(), workload.kind);
    left_out(
        network.is_some(),
        &format!("network_mode: {}", network.unwrap_or_default()),
        "the pod's own network",
    );
    left_out(service.pid.is_some(), "pid", "the container's own processes");
    left_out(service.ipc.is_some(), "ipc", "the pod's own");
    left_out(service.userns_mode.is_some(), "userns_mode", "the runtime's default");
    left_out(!service.devices.is_empty(), "devices", "left out; use a device plugin");
    left_out(!service.ulimits.is_empty(), "ulimits", "the runtime's defaults");
    left_out(service.init == Some(true), "init: true", "the program runs as PID 1");
    left_out(service.stop_signal.is_some(), "stop_signal", "the image's signal, else SIGTERM");
    left_out(service.logging.is_some(), "logging", "the cluster's logging");
    left_out(!service.labels.is_empty(), "labels", "left out");
    left_out(!service.deploy.labels.is_empty(), "deploy.labels", "left out");
    left_out(!service.volumes_from.is_empty(), "volumes_from", "left out");
    left_out(service.deploy.endpoint_mode.as_deref() == Some("dnsrr"), "endpoint_mode: dnsrr", "a ClusterIP");
    left_out(service.deploy.rollback_config.is_some(), "rollback_config", "left out");
    if let Some((setting, instead)) = restart(service, own_kind) {
        left_out(true, &setting, instead);
    }
    for (dependency, how) in &service.depends_on {
        let state = match how.condition.as_str() {
            "service_healthy" => "healthy",
            "service_completed_successfully" => "completed",
            _ => continue,
        };
        left_out(true, &format!("depends_on {dependency} ({state})"), "starts at once and must retry");
    }
}

/// A restart policy that the workload's kind does not support, and what happens instead. Deployments and StatefulSets always restart
/// their pods; Compose's default is `no`.
fn restart(service: &ClusterService, kind: WorkloadKind) -> Option<(String, &'static str)> {
    let condition = service.deploy.restart_policy.as_ref().map(|policy| policy.condition.as_deref());
    let (setting, value) = match (condition, service.restart.as_deref()) {
        (Some(condition), _) => {
            let value = condition.unwrap_or("any");
            (format!("`restart_policy.condition: {value}`"), value)
        }
        (None, Some(value)) => (format!("`restart: {value}`"), value),
        (None, None) => ("no `restart`".to_owned(), "no"),
    };
    match (value.split(':').next().unwrap_or_default(), kind) {
        ("no" | "none", WorkloadKind::Job) => Some((setting, "retried if it fails")),
        ("no" | "none" | "on-failure", WorkloadKind::Deployment | WorkloadKind::StatefulSet) => {
            Some((setting, "always restarted"))
        }
        _ => None,
    }
}

fn placement(workload: &mut Workload, service: &ClusterService, gaps: &mut Gaps) {
    if let Some((system, architecture)) = service.platform.as_deref().and_then(|text| text.split_once('/')) {
        let architecture = architecture.split('/').next().unwrap_or_default();
        workload.node_selector.insert("kubernetes.io/os".to_owned(), system.to_owned());
        workload.node_selector.insert("kubernetes.io/arch".to_owned(), architecture.to_owned());
    }
    let placement = &service.deploy.placement;
    for constraint in &placement.constraints {
        let parts = constraint.split_once("==").map(|(key, value)| (key.trim(), value.trim()));
        let label = parts.and_then(|(key, value)| {
            let label = match key {
                "node.hostname" => "kubernetes.io/hostname",
                "node.platform.os" => "kubernetes.io/os",
                "node.platform.arch" => "kubernetes.io/arch",
                _ => key.strip_prefix("node.labels.")?,
            };
            Some((label.to_owned(), value.to_owned()))
        });
        match label {
            Some((label, value)) => drop(workload.node_selector.insert(label, value)),
            None => gaps.add(&workload.service, format!("placement constraint `{constraint}`"), "any node"),
        }
    }
    if !placement.preferences.is_empty() {
        gaps.add(&workload.service, "placement preferences", "left out");
    }
    if placement.max_replicas_per_node.is_some() {
        gaps.add(&workload.service, "max_replicas_per_node", "left out");
    }
}

fn hosts(workload: &mut Workload, service: &ClusterService, gaps: &mut Gaps) {
    for entry in &service.extra_hosts {
        match entry.split_once(['=', ':']) {
            Some((host, address)) if address.parse::<std::net::IpAddr>().is_ok() => {
                workload.host_aliases.entry(address.to_owned()).or_default().push(host.to_owned());
            }
            _ => gaps.add(&workload.service, format!("extra_hosts {entry}"), "left out"),
        }
    }
    let dns = [&service.dns, &service.dns_search, &service.dns_opt];
    if dns.iter().any(|servers| !servers.is_empty()) {
        gaps.add(&workload.service, "dns", "the cluster's DNS");
    }
    workload.hostname =
        service.hostname.clone().filter(|name| crate::kubernetes::names::label(name) == *name);
    if service.hostname.is_some() && workload.hostname.is_none() {
        gaps.add(&workload.service, "hostname with invalid characters", "the pod's name");
    }
    if service.domainname.is_some() {
        gaps.add(&workload.service, "domainname", "left out");
    }
    let container = service.container_name.as_deref().filter(|name| *name != workload.service);
    if let Some(container) = container {
        gaps.add(
            &workload.service,
            format!("container_name {container}"),
            format!("reachable as {}", workload.name),
        );
    }
}

/// Reports the project's unread keys, and its network drivers and external networks.
pub(super) fn report_unread(project: &ClusterProject, gaps: &mut Gaps) {
    for key in project.unread() {
        gaps.add(key.service.as_deref().unwrap_or_default(), key.key, "left out");
    }
    for (name, network) in &project.networks {
        if !network.driver_opts.is_empty()
            || network.driver.as_deref().is_some_and(|driver| !["bridge", "overlay"].contains(&driver))
        {
            gaps.add("", format!("driver of network {name}"), "the cluster's network");
        }
        if network.external {
            gaps.add("", format!("external network {name}"), "only services in this file may connect");
        }
    }
}
