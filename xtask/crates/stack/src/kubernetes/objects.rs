//! A workload's objects (Kubernetes API reference, version 1.32).

use crate::kubernetes::plan::{Claim, HealthCheck, HealthProbe, Mount, MountSource, Workload, WorkloadKind};
use crate::kubernetes::tree::FILE_KEY;
use crate::yaml::{Yaml, empty, list, map, nested};

/// Values common to all objects of a tree.
#[derive(Debug, Clone)]
pub struct Common {
    /// The project's name as a label.
    pub project: String,
    /// The storage request of each volume.
    pub volume_size: String,
    /// `imagePullSecrets` of all pods.
    pub pull_secrets: Vec<String>,
}

/// The value of the label `app.kubernetes.io/managed-by`.
pub(super) const MANAGER: &str = "images";

impl Common {
    pub(super) fn selector(&self, name: &str) -> Yaml {
        map([
            ("app.kubernetes.io/name", name.into()),
            ("app.kubernetes.io/part-of", self.project.as_str().into()),
        ])
    }

    pub(super) fn metadata(&self, name: &str, app: &str) -> Yaml {
        map([("name", name.into()), ("labels", self.labels(app))])
    }

    fn labels(&self, app: &str) -> Yaml {
        map([
            ("app.kubernetes.io/name", app.into()),
            ("app.kubernetes.io/part-of", self.project.as_str().into()),
            ("app.kubernetes.io/managed-by", MANAGER.into()),
        ])
    }
}

/// The name of the Secret with a workload's environment.
pub(super) fn environment_secret(workload: &Workload) -> String {
    format!("env-{}", workload.name)
}

/// The Deployment, StatefulSet or Job.
pub(super) fn workload(workload: &Workload, common: &Common) -> Yaml {
    let (api, spec) = match workload.kind {
        WorkloadKind::Deployment => ("apps/v1", deployment(workload, common)),
        WorkloadKind::StatefulSet => ("apps/v1", stateful_set(workload, common)),
        WorkloadKind::Job => ("batch/v1", map([("template", template(workload, common))])),
    };
    map([
        ("apiVersion", api.into()),
        ("kind", workload.kind.name().into()),
        ("metadata", common.metadata(&workload.name, &workload.name)),
        ("spec", spec),
    ])
}

fn deployment(workload: &Workload, common: &Common) -> Yaml {
    let rollout = &workload.rollout;
    let at_once: Yaml = match rollout.parallelism {
        0 => "100%".into(),
        number => number.into(),
    };
    let none = Yaml::from(0_i64);
    let (surge, unavailable) = if rollout.stop_first { (none, at_once) } else { (at_once, none) };
    let limits = map([("maxSurge", surge), ("maxUnavailable", unavailable)]);
    map([
        ("replicas", workload.replicas.into()),
        ("minReadySeconds", Some(rollout.delay_seconds).filter(|&seconds| seconds > 0).into()),
        ("strategy", map([("type", "RollingUpdate".into()), ("rollingUpdate", limits)])),
        ("selector", map([("matchLabels", common.selector(&workload.name))])),
        ("template", template(workload, common)),
    ])
}

fn stateful_set(workload: &Workload, common: &Common) -> Yaml {
    let claims = workload.claims.iter().map(|claim| {
        map([
            ("apiVersion", "v1".into()),
            ("kind", "PersistentVolumeClaim".into()),
            ("metadata", map([("name", claim.name.as_str().into())])),
            ("spec", claim_spec(claim, common)),
        ])
    });
    map([
        ("serviceName", workload.name.as_str().into()),
        ("replicas", workload.replicas.into()),
        ("podManagementPolicy", "Parallel".into()),
        ("selector", map([("matchLabels", common.selector(&workload.name))])),
        ("template", template(workload, common)),
        ("volumeClaimTemplates", list(claims)),
    ])
}

/// A PersistentVolumeClaim outside of a StatefulSet.
pub(super) fn claim(claim: &Claim, common: &Common) -> Yaml {
    map([
        ("apiVersion", "v1".into()),
        ("kind", "PersistentVolumeClaim".into()),
        ("metadata", common.metadata(&claim.name, &claim.name)),
        ("spec", claim_spec(claim, common)),
    ])
}

fn claim_spec(claim: &Claim, common: &Common) -> Yaml {
    let mode = if claim.shared { "ReadWriteMany" } else { "ReadWriteOnce" };
    let size = nested("requests.storage", common.volume_size.as_str().into());
    map([("accessModes", list([mode])), ("resources", size)])
}

fn template(workload: &Workload, common: &Common) -> Yaml {
    let secrets = common.pull_secrets.iter().map(|name| map([("name", name.into())]));
    let aliases = workload.host_aliases.iter();
    let aliases = aliases.map(|(address, names)| map([("ip", address.into()), ("hostnames", list(names))]));
    let restart = (workload.kind == WorkloadKind::Job).then_some("OnFailure");
    let spec = map([
        ("automountServiceAccountToken", false.into()),
        ("enableServiceLinks", false.into()),
        ("restartPolicy", restart.into()),
        ("hostname", workload.hostname.as_ref().into()),
        ("hostAliases", list(aliases)),
        ("nodeSelector", (&workload.node_selector).into()),
        ("imagePullSecrets", list(secrets)),
        ("terminationGracePeriodSeconds", workload.grace_seconds.into()),
        ("securityContext", pod_security(workload)),
        ("containers", list([container(workload)])),
        ("volumes", volumes(workload)),
    ]);
    map([("metadata", map([("labels", common.labels(&workload.name))])), ("spec", spec)])
}

fn pod_security(workload: &Workload) -> Yaml {
    let security = &workload.security;
    let owner = security.group.filter(|_| !workload.mounts.is_empty());
    let sysctls = security.sysctls.iter();
    let sysctls = sysctls.map(|(name, value)| map([("name", name.into()), ("value", value.into())]));
    map([
        ("runAsNonRoot", Some(true).filter(|_| security.non_root).into()),
        ("runAsUser", security.user.into()),
        ("runAsGroup", security.group.into()),
        // The kubelet changes the group of volumes, which otherwise belong to root.
        ("fsGroup", owner.into()),
        ("fsGroupChangePolicy", owner.map(|_| "OnRootMismatch").into()),
        ("supplementalGroups", list(security.groups.iter().copied())),
        ("seccompProfile", map([("type", "RuntimeDefault".into())])),
        ("sysctls", list(sysctls)),
    ])
}

fn container(workload: &Workload) -> Yaml {
    let security = &workload.security;
    let capabilities = map([("add", list(&security.add)), ("drop", list(&security.drop))]);
    let capabilities = if capabilities == empty() { Yaml::Absent } else { capabilities };
    // The API server rejects `SYS_ADMIN` without privilege escalation.
    let may_escalate = security.add.iter().any(|name| name == "SYS_ADMIN");
    let confinement = map([
        ("allowPrivilegeEscalation", may_escalate.into()),
        ("readOnlyRootFilesystem", security.read_only.into()),
        ("capabilities", capabilities),
    ]);
    let resources = map([("limits", (&workload.limits).into()), ("requests", (&workload.requests).into())]);
    let ports = workload.ports.iter().map(|port| {
        map([
            ("name", port.name.as_str().into()),
            ("containerPort", port.number.into()),
            ("protocol", Some(&port.protocol).filter(|protocol| *protocol != "TCP").into()),
        ])
    });
    let mounts = workload.mounts.iter().map(|mount| {
        map([
            ("name", mount.volume.as_str().into()),
            ("mountPath", mount.path.as_str().into()),
            ("subPath", mount.sub_path.as_ref().into()),
            ("readOnly", Some(true).filter(|_| mount.read_only).into()),
        ])
    });
    let [startup, readiness, liveness] = workload.probe.as_ref().map_or([const { Yaml::Absent }; 3], probes);
    map([
        ("name", workload.name.as_str().into()),
        // The overlay replaces this name with the image.
        ("image", workload.name.as_str().into()),
        ("command", workload.command.as_ref().map_or(Yaml::Absent, list)),
        ("args", workload.args.as_ref().map_or(Yaml::Absent, list)),
        ("workingDir", workload.working_dir.as_ref().into()),
        ("stdin", Some(true).filter(|_| workload.stdin).into()),
        ("tty", Some(true).filter(|_| workload.tty).into()),
        ("env", environment(workload)),
        ("ports", list(ports)),
        ("resources", if resources == empty() { Yaml::Absent } else { resources }),
        ("startupProbe", startup),
        ("readinessProbe", readiness),
        ("livenessProbe", liveness),
        ("securityContext", confinement),
        ("volumeMounts", list(mounts)),
    ])
}

fn environment(workload: &Workload) -> Yaml {
    let plain = workload.environment.iter();
    let plain = plain.map(|(name, value)| map([("name", name.into()), ("value", value.into())]));
    let secret = environment_secret(workload);
    let hidden = workload.secret_environment.keys().map(|name| {
        let key = map([("name", secret.as_str().into()), ("key", name.into())]);
        map([("name", name.into()), ("valueFrom", map([("secretKeyRef", key)]))])
    });
    list(plain.chain(hidden))
}

/// Seconds between checks while a container starts.
const START_INTERVAL: u32 = 2;
/// The liveness probe's failure threshold, in multiples of the readiness probe's. Compose never restarts an unhealthy container.
const PATIENCE: u32 = 3;

/// The startup, readiness and liveness probes.
fn probes(probe: &HealthProbe) -> [Yaml; 3] {
    let (kind, check) = match &probe.check {
        HealthCheck::Http { path, port } => {
            // By default, the kubelet sends the pod's address, which many services reject.
            let host = map([("name", "Host".into()), ("value", "localhost".into())]);
            let request =
                [("path", path.as_str().into()), ("port", (*port).into()), ("httpHeaders", list([host]))];
            ("httpGet", map(request))
        }
        HealthCheck::Command(words) => ("exec", map([("command", list(words))])),
    };
    let with = |period: u32, failures: u32| {
        map([
            (kind, check.clone()),
            ("periodSeconds", period.into()),
            ("timeoutSeconds", probe.timeout.into()),
            ("failureThreshold", failures.max(1).into()),
        ])
    };
    let start = probe.start_period.saturating_add(probe.retries.saturating_mul(probe.interval));
    [
        with(START_INTERVAL, start.div_ceil(START_INTERVAL)),
        with(probe.interval, probe.retries),
        with(probe.interval, probe.retries.saturating_mul(PATIENCE)),
    ]
}

fn volumes(workload: &Workload) -> Yaml {
    let mut found: Vec<(&str, Yaml)> = Vec::new();
    for mount in &workload.mounts {
        let Some(source) = volume(mount) else { continue };
        if !found.iter().any(|(name, _)| *name == mount.volume) {
            found.push((&mount.volume, source));
        }
    }
    list(found.into_iter().map(|(name, source)| match source {
        Yaml::Map(mut entries) => {
            entries.insert(0, ("name".to_owned(), name.into()));
            Yaml::Map(entries)
        }
        other => other,
    }))
}

/// A pod's volume; `None` if it comes from a StatefulSet's claim template.
fn volume(mount: &Mount) -> Option<Yaml> {
    let item = || list([map([("key", FILE_KEY.into()), ("path", FILE_KEY.into())])]);
    let mode = |mode: &Option<u32>| mode.or(Some(0o444)).into();
    Some(match &mount.source {
        MountSource::Template => return None,
        MountSource::Claim(name) => {
            map([("persistentVolumeClaim", map([("claimName", name.as_str().into())]))])
        }
        MountSource::Temporary { memory, size } => {
            let medium = memory.then_some("Memory");
            map([("emptyDir", map([("medium", medium.into()), ("sizeLimit", size.as_ref().into())]))])
        }
        MountSource::Config { name, mode: bits } => {
            let source = [("name", name.as_str().into()), ("defaultMode", mode(bits)), ("items", item())];
            map([("configMap", map(source))])
        }
        MountSource::Secret { name, mode: bits } => {
            let source =
                [("secretName", name.as_str().into()), ("defaultMode", mode(bits)), ("items", item())];
            map([("secret", map(source))])
        }
    })
}
