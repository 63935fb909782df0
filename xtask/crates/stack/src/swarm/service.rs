//! Converts a Compose service, and the top-level sections, to the stack file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::swarm::contents::{Content, ContentKind};
use crate::swarm::mounts;
use crate::swarm::plan::{Expected, Fault, FileVariable, PlanInput, PlannedService};
use crate::swarm::{differences, ports};
use engine::compose::cluster::{ClusterHealthcheck, ClusterNetwork, ClusterService, ConfigUse, Hidden};

/// Collected while the services are converted.
pub(super) struct Conversion<'a> {
    pub(super) input: &'a PlanInput<'a>,
    /// By kind and key.
    pub(super) contents: BTreeMap<(ContentKind, String), Content>,
    /// The affected services, by setting and what happens instead.
    pub(super) notes: BTreeMap<(String, String), BTreeSet<String>>,
    pub(super) faults: Vec<Fault>,
    /// The services that others wait for to complete.
    completed: BTreeSet<String>,
}

impl<'a> Conversion<'a> {
    pub(super) fn new(input: &'a PlanInput<'a>) -> Conversion<'a> {
        let needs = input.project.services.values().flat_map(|service| &service.depends_on);
        let completed = needs.filter(|(_, need)| need.condition == "service_completed_successfully");
        let completed = completed.map(|(name, _)| name.clone()).collect();
        Conversion { input, contents: BTreeMap::new(), notes: BTreeMap::new(), faults: Vec::new(), completed }
    }

    pub(super) fn note(&mut self, service: &str, setting: impl Into<String>, instead: impl Into<String>) {
        self.notes.entry((setting.into(), instead.into())).or_default().insert(service.to_owned());
    }

    pub(super) fn fault(&mut self, service: &str, what: impl AsRef<str>, help: impl Into<String>) {
        self.faults.push(Fault { what: format!("{service}: {}", what.as_ref()), help: help.into() });
    }

    /// Notes unknown keys and rejects unsupported network drivers.
    pub(super) fn whole_project(&mut self) {
        for key in self.input.project.unread() {
            let services = self.notes.entry((key.key, "ignored".to_owned())).or_default();
            services.extend(key.service);
        }
        for (name, network) in &self.input.project.networks {
            if let Some(driver) =
                network.driver.as_deref().filter(|driver| !matches!(*driver, "overlay" | "bridge"))
            {
                let what = format!("networks.{name}: Swarm cannot run the driver `{driver}` on all nodes");
                self.faults.push(Fault { what, help: "remove `driver`, or set it to `overlay`".to_owned() });
            }
        }
    }

    /// Rejects `--publish` requests for ports that are missing from the Compose file.
    pub(super) fn refuse_unknown_ports(&mut self) {
        for request in self.input.publish {
            let service = self.input.project.services.get(&request.service);
            let known: Vec<u16> =
                service.into_iter().flat_map(|service| &service.ports).map(|port| port.target).collect();
            if known.contains(&request.port) {
                continue;
            }
            let list = known.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
            let help = match (service, known.is_empty()) {
                (None, _) => "name a service of the Compose file in --publish".to_owned(),
                (_, true) => "add the port to `ports` in the Compose file".to_owned(),
                (_, false) => format!("choose one of these ports for --publish: {list}"),
            };
            let what = match service {
                Some(_) => format!("no port {} in `ports`", request.port),
                None => "--publish names a service that is not part of the stack".to_owned(),
            };
            self.fault(&request.service, what, help);
        }
    }

    fn content(&mut self, kind: ContentKind, key: &str, bytes: Vec<u8>) {
        let (stack, cluster) = (&self.input.project.name, &self.input.cluster.id);
        let content = Content::new(kind, key, bytes, stack, cluster);
        self.contents.insert((kind, key.to_owned()), content);
    }
}

/// A service in the plan and in the stack file.
pub(super) fn convert(
    name: &str,
    compose: &ClusterService,
    conversion: &mut Conversion<'_>,
) -> (PlannedService, Value) {
    let mut planned = PlannedService::default();
    match conversion.input.images.get(name) {
        Some(Ok(image)) => planned.image.clone_from(image),
        Some(Err(reason)) => {
            let (what, help) = reason.split_once("\nhelp: ").unwrap_or((reason, ""));
            conversion.fault(name, what, help);
        }
        None => conversion.fault(name, "no `image`", "add `image` to the service"),
    }
    differences::report(name, compose, conversion);
    let (mounts, place) = mounts::convert(name, compose, conversion);
    let ports = published(name, compose, &mut planned, conversion);
    let has_host_port = ports.iter().any(|port| port["mode"] == "host");
    let is_dnsrr = compose.deploy.endpoint_mode.as_deref() == Some("dnsrr");
    if is_dnsrr && ports.iter().any(|port| port["mode"] == "ingress") {
        let what = "Swarm cannot publish ports in the mode `ingress` with `endpoint_mode: dnsrr`";
        conversion.fault(name, what, "set `mode: host` for these ports, or remove `endpoint_mode`");
    }
    planned.stop_first = place.writes || has_host_port;
    planned.node = place.node;
    planned.expected = expected(name, compose, conversion);
    let names = compose.networks.keys().filter_map(|key| conversion.input.project.networks.get(key));
    planned.networks = names.map(|network| network.name.clone()).collect();
    let mut secrets = uses(name, ContentKind::Secret, &compose.secrets, conversion);
    let configs = uses(name, ContentKind::Config, &compose.configs, conversion);
    let environment = environment(name, compose, &mut secrets, conversion);
    let reveal = |words: &Option<Vec<Hidden>>| {
        words.as_ref().map(|words| words.iter().map(|word| word.reveal().to_owned()).collect::<Vec<_>>())
    };
    let file = json!({
        "image": planned.image,
        "entrypoint": reveal(&compose.entrypoint),
        "command": reveal(&compose.command),
        "working_dir": compose.working_dir,
        "user": compose.user,
        "environment": environment,
        "labels": compose.labels,
        "hostname": compose.hostname,
        "read_only": compose.read_only.then_some(true),
        "init": compose.init,
        "tty": compose.tty.then_some(true),
        "stdin_open": compose.stdin_open.then_some(true),
        "cap_add": compose.cap_add,
        "cap_drop": compose.cap_drop,
        "sysctls": compose.sysctls,
        "ulimits": differences::ulimits(compose),
        // Compose separates name and address with `=`, stack files with `:`.
        "extra_hosts": compose.extra_hosts.iter().map(|host| host.replacen('=', ":", 1)).collect::<Vec<_>>(),
        "dns": compose.dns,
        "dns_search": compose.dns_search,
        "stop_grace_period": compose.stop_grace_period,
        "stop_signal": compose.stop_signal,
        "logging": compose.logging,
        "healthcheck": compose.healthcheck.as_ref().map(healthcheck),
        "volumes": mounts,
        "secrets": secrets,
        "configs": configs,
        "networks": networks(name, compose),
        "ports": ports,
        "deploy": deploy(name, compose, &planned, conversion),
    });
    (planned, file)
}

/// A list, or a mapping if a network has aliases. In a mapping, each network needs a setting.
fn networks(name: &str, compose: &ClusterService) -> Value {
    if compose.networks.values().all(|used| used.aliases.is_empty()) {
        return compose.networks.keys().cloned().collect();
    }
    let used = compose.networks.iter().map(|(key, used)| match used.aliases.as_slice() {
        [] => (key.clone(), json!({ "aliases": [name] })),
        aliases => (key.clone(), json!({ "aliases": aliases })),
    });
    used.collect::<Map<_, _>>().into()
}

/// The published ports in the stack file. Adds published and withheld ports to the plan.
fn published(
    name: &str,
    compose: &ClusterService,
    planned: &mut PlannedService,
    conversion: &mut Conversion<'_>,
) -> Vec<Value> {
    let requests = conversion.input.publish;
    let is_requested =
        |port: u16| requests.iter().any(|request| request.service == name && request.port == port);
    let mut found = Vec::new();
    for port in &compose.ports {
        if !port.is_public() && !is_requested(port.target) {
            planned.withheld.push(port.target.to_string());
            continue;
        }
        match ports::file(port) {
            Ok(file) => {
                planned.published.push(ports::text(port));
                found.push(file);
            }
            Err(what) => conversion.fault(name, what, "publish one port, or let the engine choose it"),
        }
    }
    found
}

fn expected(name: &str, compose: &ClusterService, conversion: &Conversion<'_>) -> Expected {
    match (compose.replicas(), compose.deploy.mode.as_deref()) {
        (_, Some("global")) => Expected::EveryNode,
        (0, _) => Expected::Nothing,
        (count, _) if conversion.completed.contains(name) => Expected::Completed(count),
        (count, _) => Expected::Running(count),
    }
}

/// The environment; values that the service can read from a file become secrets.
fn environment(
    name: &str,
    compose: &ClusterService,
    secrets: &mut Vec<Value>,
    conversion: &mut Conversion<'_>,
) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let of_service = |known: &&FileVariable| known.service == name;
    let known: Vec<&FileVariable> = conversion.input.file_variables.iter().filter(of_service).collect();
    for (variable, value) in &compose.environment {
        // Compose omits variables without a value.
        let Some(value) = value.as_ref().map(Hidden::reveal) else { continue };
        let known = known.iter().find(|known| known.variable == *variable);
        match known.map(|known| &known.file_variable) {
            Some(Some(file_variable)) => {
                // Another service may set the same variable to another value. The key must not clash with a Compose secret.
                let mut key = format!("{name}.{variable}");
                while conversion.input.project.secrets.contains_key(&key) {
                    key.push('.');
                }
                conversion.content(ContentKind::Secret, &key, value.as_bytes().to_vec());
                secrets.push(json!({ "source": key, "target": variable }));
                found.insert(file_variable.clone(), format!("/run/secrets/{variable}"));
            }
            Some(None) => {
                let instead = "part of the service's definition, which anyone with access to a manager can read; \
                               if the service can read it from a file, declare `file-variable` in the manifest";
                conversion.note(name, format!("environment.{variable}, a secret"), instead);
                found.insert(variable.clone(), value.to_owned());
            }
            None => {
                if conversion.input.secrets.is_secret(variable, value) {
                    let instead = "part of the service's definition, which anyone with access to a manager can read; \
                                   if the service can read it from a file, declare it under `secrets`";
                    conversion.note(name, format!("environment.{variable}, a secret"), instead);
                }
                found.insert(variable.clone(), value.to_owned());
            }
        }
    }
    found
}

/// The secrets or configs that a service mounts.
fn uses(name: &str, kind: ContentKind, all: &[ConfigUse], conversion: &mut Conversion<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    for used in all {
        let key = (kind, used.source.clone());
        match conversion.input.contents.get(&key) {
            Some(Ok(bytes)) => conversion.content(kind, &used.source, bytes.clone()),
            Some(Err(reason)) => {
                let what = format!("cannot read the {} `{}`: {reason}", kind.name(), used.source);
                conversion.fault(name, what, "fix its definition in the Compose file");
            }
            // External: the swarm has it already.
            None => {}
        }
        let ConfigUse { source, target, uid, gid, mode, .. } = used;
        found.push(json!({ "source": source, "target": target, "uid": uid, "gid": gid, "mode": mode }));
    }
    found
}

fn healthcheck(check: &ClusterHealthcheck) -> Value {
    if check.disable {
        return json!({ "disable": true });
    }
    let test = check.test.as_ref();
    json!({
        "test": test.map(|test| test.iter().map(|word| word.reveal().to_owned()).collect::<Vec<_>>()),
        "interval": check.interval,
        "timeout": check.timeout,
        "retries": check.retries,
        "start_period": check.start_period,
        "start_interval": check.start_interval,
    })
}

fn deploy(
    name: &str,
    compose: &ClusterService,
    planned: &PlannedService,
    conversion: &mut Conversion<'_>,
) -> Value {
    let deploy = &compose.deploy;
    let mut constraints = deploy.placement.constraints.clone();
    constraints.extend(planned.node.iter().map(|node| format!("{}{node}", mounts::NODE_IS)));
    let amounts = |amounts: engine::compose::cluster::ResourceAmounts, with_pids: bool| json!({ "cpus": amounts.cpus, "memory": amounts.memory, "pids": amounts.pids.filter(|_| with_pids).and_then(|pids| pids.parse::<i64>().ok()) });
    let is_global = planned.expected == Expected::EveryNode;
    json!({
        "mode": deploy.mode,
        "replicas": (!is_global).then(|| compose.replicas()),
        "labels": deploy.labels,
        "endpoint_mode": deploy.endpoint_mode,
        "resources": {
            "limits": amounts(compose.limits(), true),
            "reservations": amounts(compose.reservations(), false),
        },
        "placement": {
            "constraints": constraints,
            "preferences": deploy.placement.preferences,
            "max_replicas_per_node": deploy.placement.max_replicas_per_node,
        },
        "restart_policy": differences::restart_policy(name, compose, planned.expected, conversion),
        "update_config": differences::update(name, compose, planned.stop_first, conversion),
        "rollback_config": differences::rollback(compose, planned.stop_first),
    })
}

/// Networks, volumes, secrets and configs of the stack file.
pub(super) fn top_level(
    input: &PlanInput<'_>,
    contents: &BTreeMap<(ContentKind, String), Content>,
) -> Map<String, Value> {
    let project = input.project;
    let networks = project.networks.iter().map(|(key, network)| (key.clone(), self::network(network)));
    let volumes = project.volumes.iter().map(|(key, volume)| {
        let file = match volume.external {
            true => json!({ "external": true, "name": volume.name }),
            false => json!({ "name": volume.name, "driver": volume.driver, "driver_opts": options(&volume.driver_opts) }),
        };
        (key.clone(), file)
    });
    let named = |kind: ContentKind| -> Map<String, Value> {
        let all = if kind == ContentKind::Secret { &project.secrets } else { &project.configs };
        let external = all.iter().filter(|(_, file)| file.external);
        let external = external.map(|(key, file)| (key.clone(), file.name.clone()));
        let own = contents.values().filter(|content| content.kind == kind);
        let own = own.map(|content| (content.key.clone(), content.name.clone()));
        // These are created before the stack is deployed.
        external.chain(own).map(|(key, name)| (key, json!({ "external": true, "name": name }))).collect()
    };
    Map::from_iter([
        ("networks".to_owned(), networks.collect::<Map<_, _>>().into()),
        ("volumes".to_owned(), volumes.collect::<Map<_, _>>().into()),
        ("secrets".to_owned(), named(ContentKind::Secret).into()),
        ("configs".to_owned(), named(ContentKind::Config).into()),
    ])
}

/// An overlay network of the stack; attachable, because the probes are sent from a container.
fn network(network: &ClusterNetwork) -> Value {
    if network.external {
        return json!({ "external": true, "name": network.name });
    }
    let is_overlay = network.driver.as_deref() == Some("overlay");
    json!({
        "driver": "overlay",
        "name": network.name,
        "attachable": true,
        "internal": network.internal.then_some(true),
        // Options of other drivers do not apply to overlay networks.
        "driver_opts": is_overlay.then(|| options(&network.driver_opts)),
    })
}

/// Options as strings.
fn options(options: &BTreeMap<String, Value>) -> BTreeMap<&str, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    options.iter().map(|(key, value)| (key.as_str(), text(value))).collect()
}
