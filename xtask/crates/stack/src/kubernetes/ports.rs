//! A container's ports, and the ports published outside of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::kubernetes::gaps::Gaps;
use crate::kubernetes::names;
use crate::kubernetes::plan::{Port, Workload};
use engine::compose::cluster::{ClusterPort, ClusterService};

/// Adds the ports in `ports` and `expose`, the image's exposed ports, and the manifest's port.
pub(super) fn set(
    workload: &mut Workload,
    service: &ClusterService,
    image: &[String],
    manifest: Option<u16>,
    gaps: &mut Gaps,
) {
    let name = workload.service.clone();
    let mut found: BTreeMap<(u16, String), Option<&ClusterPort>> = BTreeMap::new();
    for port in &service.ports {
        let protocol = if port.protocol.is_empty() { "tcp" } else { &port.protocol };
        found.entry((port.target, protocol.to_uppercase())).or_insert(Some(port));
    }
    let declared = service.expose.iter().chain(image).flat_map(|text| numbers(text));
    for key in declared.chain(manifest.map(|number| (number, "TCP".to_owned()))) {
        found.entry(key).or_insert(None);
    }
    let mut taken = BTreeSet::new();
    for ((number, protocol), from) in found {
        let fallback = format!("{}-{number}", protocol.to_lowercase());
        let wanted = from.and_then(|port| port.name.as_deref()).and_then(names::port);
        let port_name = match wanted {
            Some(wanted) if taken.contains(&wanted) => {
                gaps.add(
                    &name,
                    format!("two ports are named {wanted}"),
                    format!("port {number} is named {fallback}"),
                );
                fallback
            }
            wanted => wanted.unwrap_or(fallback),
        };
        taken.insert(port_name.clone());
        let app_protocol = from.and_then(|port| port.app_protocol.clone());
        workload.ports.push(Port { number, protocol, name: port_name, app_protocol });
    }
    for port in &service.ports {
        publish(workload, &name, port, gaps);
    }
}

/// Ports published on all addresses get a load balancer. Other ports stay inside the cluster, since a load balancer may be public.
fn publish(workload: &mut Workload, name: &str, port: &ClusterPort, gaps: &mut Gaps) {
    if !port.is_public() {
        let what = if port.is_loopback() { "loopback" } else { "one address" };
        let instead = "reachable inside the cluster only; from here, use `kubectl port-forward`";
        return gaps.add(name, format!("ports published on {what}"), instead);
    }
    let protocol = if port.protocol.is_empty() { "TCP".to_owned() } else { port.protocol.to_uppercase() };
    let Some(own) = workload.ports.iter().find(|own| own.number == port.target && own.protocol == protocol)
    else {
        return;
    };
    let first = port.published.as_deref().map(|text| text.split('-').next().unwrap_or_default().parse());
    let number = match first {
        Some(Ok(number)) => number,
        _ => {
            gaps.add(
                name,
                format!("port {} has no fixed published port", port.target),
                "published under the same number",
            );
            port.target
        }
    };
    if port.published.as_deref().is_some_and(|text| text.contains('-')) {
        gaps.add(
            name,
            format!("port {} is published on a range", port.target),
            format!("published as {number}"),
        );
    }
    if port.mode == "host" {
        gaps.add(name, "ports with mode: host", "published by a load balancer, not on the node");
    }
    let entry = (number, own.clone());
    if workload.published.iter().any(|(other, port)| *other == number && port.protocol == protocol) {
        gaps.add(name, format!("port {number} is published twice"), "published once");
    } else {
        workload.published.push(entry);
    }
}

/// The ports in `PORT[-PORT][/PROTOCOL]`.
fn numbers(text: &str) -> Vec<(u16, String)> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) => (first..=last).map(|number| (number, protocol.to_uppercase())).collect(),
        _ => Vec::new(),
    }
}
