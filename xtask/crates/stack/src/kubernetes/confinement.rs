//! Users, capabilities and sysctls.

use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::plan::Workload;
use engine::compose::cluster::ClusterService;

/// Sysctls that Kubernetes allows by default (Kubernetes, "Using sysctls in a Kubernetes Cluster").
const SAFE: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
];

/// The first unprivileged port by default.
const UNPRIVILEGED: u16 = 1024;

/// Sets the security context. `image_user` is the image's `USER`; `None` if the image is not on this engine.
pub(super) fn set(
    workload: &mut Workload,
    service: &ClusterService,
    image_user: Option<&str>,
    gaps: &mut Gaps,
) {
    let name = workload.service.clone();
    let security = &mut workload.security;
    security.read_only = service.read_only;
    let user = service.user.as_deref().filter(|user| !user.is_empty()).or(image_user);
    let (user, group) = user.map_or((None, None), |text| {
        text.split_once(':').map_or((Some(text), None), |(user, group)| (Some(user), Some(group)))
    });
    let number = user.and_then(|user| user.parse::<i64>().ok());
    let is_root = user.is_some_and(|user| user.is_empty() || user == "root" || number == Some(0));
    security.user = number.filter(|_| !is_root);
    security.group = group.and_then(|group| group.parse().ok()).or(security.user);
    security.non_root = security.user.is_some() || user.is_none();
    match user {
        None => gaps.add(
            &name,
            "the image is not on this engine",
            "its user is unknown; the pod will not start if the image runs as root (`runAsNonRoot`)",
        ),
        Some(_) if is_root => gaps.add(&name, "runs as root", "the namespace must allow it"),
        Some(user) if number.is_none() => {
            let what = format!("user {user} is a name");
            gaps.add(&name, what, "Kubernetes cannot tell whether it is root; set `user` to its UID");
        }
        Some(_) => {}
    }
    let groups = service.group_add.iter().map(|group| group.parse::<i64>());
    security.groups = groups.flatten().collect();
    if security.groups.len() < service.group_add.len() {
        gaps.add(&name, "group_add with names", "left out; use numbers");
    }
    capabilities(workload, service, is_root, gaps);
    kernel(workload, service, is_root, gaps);
}

fn capabilities(workload: &mut Workload, service: &ClusterService, is_root: bool, gaps: &mut Gaps) {
    let bare = |name: &String| name.trim_start_matches("CAP_").to_owned();
    workload.security.add = service.cap_add.iter().map(bare).collect();
    // Non-root processes do not get Docker's default capabilities.
    workload.security.drop =
        if is_root { service.cap_drop.iter().map(bare).collect() } else { vec!["ALL".to_owned()] };
    let name = &workload.service;
    if service.privileged {
        gaps.add(name, "privileged: true", "runs unprivileged");
    }
    for option in &service.security_opt {
        let key = option.split([':', '=']).next().unwrap_or_default();
        match key {
            // Always set.
            "no-new-privileges" => {}
            "seccomp" => gaps.add(name, "security_opt seccomp", "the runtime's default profile"),
            other => gaps.add(name, format!("security_opt {other}"), "left out"),
        }
    }
}

fn kernel(workload: &mut Workload, service: &ClusterService, is_root: bool, gaps: &mut Gaps) {
    for (key, value) in &service.sysctls {
        if SAFE.contains(&key.as_str()) {
            workload.security.sysctls.insert(key.clone(), value.clone());
        } else {
            gaps.add(
                &workload.service,
                format!("sysctl {key}"),
                "left out; the cluster must explicitly allow it",
            );
        }
    }
    // In Docker, any user may listen on any port.
    if !is_root && workload.ports.iter().any(|port| port.number < UNPRIVILEGED) {
        let start = "net.ipv4.ip_unprivileged_port_start".to_owned();
        workload.security.sysctls.entry(start).or_insert_with(|| "0".to_owned());
    }
}
