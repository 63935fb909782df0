//! Services and NetworkPolicies.

use crate::kubernetes::names;
use crate::kubernetes::objects::Common;
use crate::kubernetes::plan::{Port, Workload, WorkloadKind};
use crate::yaml::{Yaml, empty, list, map};

/// A workload's Services: one under its name, one per alias, and a load balancer for published ports.
pub(super) fn services(workload: &Workload, common: &Common) -> Vec<Yaml> {
    let ports: Vec<Yaml> = workload.ports.iter().map(|port| service_port(port.number, port)).collect();
    let mut found = Vec::new();
    // A StatefulSet needs a Service even without ports.
    if !ports.is_empty() || workload.kind == WorkloadKind::StatefulSet {
        let names = std::iter::once(&workload.name).chain(&workload.aliases);
        found.extend(names.map(|name| service(name, None, ports.clone(), workload, common)));
    }
    let public = workload.published.iter().map(|(number, port)| {
        let name = format!("{}-{number}", port.protocol.to_lowercase());
        service_port(*number, &Port { name, ..port.clone() })
    });
    let public: Vec<Yaml> = public.collect();
    if !public.is_empty() {
        let name = names::label(&format!("{}-public", workload.name));
        found.push(service(&name, Some("LoadBalancer"), public, workload, common));
    }
    found
}

fn service(name: &str, kind: Option<&str>, ports: Vec<Yaml>, workload: &Workload, common: &Common) -> Yaml {
    let headless = ports.is_empty().then_some("None");
    let spec = map([
        ("type", kind.into()),
        ("clusterIP", headless.into()),
        ("selector", common.selector(&workload.name)),
        ("ports", list(ports)),
    ]);
    map([
        ("apiVersion", "v1".into()),
        ("kind", "Service".into()),
        ("metadata", common.metadata(name, &workload.name)),
        ("spec", spec),
    ])
}

fn service_port(number: u16, port: &Port) -> Yaml {
    map([
        ("name", port.name.as_str().into()),
        ("port", number.into()),
        ("targetPort", port.number.into()),
        ("protocol", port.protocol.as_str().into()),
        ("appProtocol", port.app_protocol.as_ref().into()),
    ])
}

/// Allows ingress from workloads on the same network, and from anywhere to published ports.
pub(super) fn policy(workload: &Workload, common: &Common) -> Yaml {
    let peers = peers(workload, common);
    let mut ingress: Vec<Yaml> = peers.iter().map(|peers| map([("from", list([peers.clone()]))])).collect();
    let published = workload
        .published
        .iter()
        .map(|(_, port)| map([("protocol", port.protocol.as_str().into()), ("port", port.number.into())]));
    if let public @ Yaml::List(_) = list(published) {
        ingress.push(map([("ports", public)]));
    }
    let mut types = vec!["Ingress"];
    let mut egress = Yaml::Absent;
    if workload.internal {
        types.push("Egress");
        let to_peers = peers.map(|peers| map([("to", list([peers]))]));
        egress = list(to_peers.into_iter().chain([name_service()]));
    }
    let spec = map([
        ("podSelector", map([("matchLabels", common.selector(&workload.name))])),
        ("policyTypes", list(types)),
        ("ingress", list(ingress)),
        ("egress", egress),
    ]);
    map([
        ("apiVersion", "networking.k8s.io/v1".into()),
        ("kind", "NetworkPolicy".into()),
        ("metadata", common.metadata(&workload.name, &workload.name)),
        ("spec", spec),
    ])
}

fn peers(workload: &Workload, common: &Common) -> Option<Yaml> {
    if workload.peers.is_empty() {
        return None;
    }
    let names = map([
        ("key", "app.kubernetes.io/name".into()),
        ("operator", "In".into()),
        ("values", list(&workload.peers)),
    ]);
    let part = map([("app.kubernetes.io/part-of", common.project.as_str().into())]);
    Some(map([("podSelector", map([("matchLabels", part), ("matchExpressions", list([names]))]))]))
}

/// Egress to the cluster's DNS, which resolves the peers' names.
fn name_service() -> Yaml {
    let namespace = map([("matchLabels", map([("kubernetes.io/metadata.name", "kube-system".into())]))]);
    let port = |protocol: &str| map([("protocol", protocol.into()), ("port", 53_i64.into())]);
    let to = map([("namespaceSelector", namespace), ("podSelector", empty())]);
    map([("to", list([to])), ("ports", list([port("UDP"), port("TCP")]))])
}
