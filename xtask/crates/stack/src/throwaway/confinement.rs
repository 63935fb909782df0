//! Checks how a stack's containers run, as `[test]` of the manifest requires: the command and health check, the user, the
//! root file system, the capabilities.

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::docker::Docker;
use engine::inspect::{ContainerConfig, Healthcheck};
use model::manifest::Service;
use model::test_rules::{TestRules, capability};

/// Checks the container of each service; no outcomes without requirements. Faults are in the outcomes.
pub(super) fn check(
    rules: &TestRules,
    services: &[&Service],
    project: &Project,
    docker: &Docker,
) -> Result<Vec<ProbeOutcome>> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let containers = project.containers()?;
    let mut outcomes = Vec::new();
    for service in services {
        let started = Instant::now();
        let container = containers.iter().find(|container| service.is_compose(&container.service));
        let id = &container.with_context(|| format!("{} has no container", service.name))?.id;
        let found = docker.inspect_container(id)?;
        let image = docker.look(&found.image)?.and_then(|image| image.config).unwrap_or_default();
        let wrong = judge(rules, &found, &image, &docker.process_users(id)?);
        let verdict = if wrong.is_empty() {
            ProbeVerdict::Passed
        } else {
            ProbeVerdict::failed(wrong, &format!("docker inspect {id}"))
        };
        let probe = name(rules);
        outcomes.push(ProbeOutcome::new(&service.name, probe, verdict, started, 1, &docker.runner.secrets));
    }
    Ok(outcomes)
}

/// The name of the outcome: it claims no more than the manifest requires.
fn name(rules: &TestRules) -> &'static str {
    match rules {
        TestRules { user: Some(_), read_only: true, capabilities: Some(_), own_command: true } => {
            "runs confined, with its image's own command"
        }
        _ => "runs as [test] requires",
    }
}

/// The faults of a container, given its image's configuration and the users of its processes.
fn judge(
    rules: &TestRules,
    container: &ContainerInspect,
    image: &ContainerConfig,
    users: &[String],
) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    if rules.own_command {
        own_command(container, image, &mut faults);
    }
    if let Some(user) = rules.user {
        own_user(&user.to_string(), container, image, users, &mut faults);
    }
    let is_writable = !container.host_config.readonly_rootfs;
    faults.require(!rules.read_only || !is_writable, || "its root file system is writable".to_owned());
    if let Some(allowed) = &rules.capabilities {
        capabilities(allowed, container, &mut faults);
    }
    faults.0
}

struct Faults(Vec<String>);

impl Faults {
    fn require(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.0.push(fault());
        }
    }
}

fn own_command(container: &ContainerInspect, image: &ContainerConfig, faults: &mut Faults) {
    let config = &container.config;
    let health = container.state.health.as_ref().map_or("not checked", |health| health.status.as_str());
    let checks = |check: &Option<Healthcheck>| {
        let test = check.as_ref().and_then(|check| check.test.as_deref()).unwrap_or_default();
        test.first().is_some_and(|first| first != "NONE")
    };
    faults.require(checks(&image.healthcheck), || "its image has no HEALTHCHECK".to_owned());
    faults.require(config.healthcheck == image.healthcheck, || {
        "its health check is not the image's".to_owned()
    });
    faults.require(health == "healthy", || format!("its health is `{health}`"));
    faults.require((&config.entrypoint, &config.cmd) == (&image.entrypoint, &image.cmd), || {
        format!("it runs {}, expected {}", command(config), command(image))
    });
}

fn own_user(
    user: &str,
    container: &ContainerInspect,
    image: &ContainerConfig,
    users: &[String],
    faults: &mut Faults,
) {
    let config = &container.config;
    let uid = image.user.split(':').next().unwrap_or_default();
    faults.require(uid == user, || format!("its image's USER is `{}`, expected {user}", image.user));
    faults.require(config.user == image.user, || format!("it runs as user `{}`", config.user));
    let others: Vec<&str> = users.iter().map(String::as_str).filter(|found| *found != user).collect();
    faults.require(!users.is_empty(), || "it has no process".to_owned());
    faults.require(others.is_empty(), || format!("processes run as user {}", others.join(", ")));
}

fn capabilities(allowed: &[String], container: &ContainerInspect, faults: &mut Faults) {
    let host = &container.host_config;
    faults.require(!host.privileged, || "it is privileged".to_owned());
    let added = host.cap_add.iter().flatten().map(|name| capability(name));
    let added: Vec<String> = added.filter(|name| !allowed.contains(name)).collect();
    faults.require(added.is_empty(), || format!("it has added capabilities: {}", added.join(", ")));
    let has = |list: &Option<Vec<String>>, value: &str| {
        list.iter().flatten().any(|found| found.eq_ignore_ascii_case(value))
    };
    faults.require(has(&host.cap_drop, "ALL"), || "not all capabilities are dropped".to_owned());
    let spellings = ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"];
    let is_set = spellings.iter().any(|spelling| has(&host.security_opt, spelling));
    faults.require(is_set, || "it can gain new privileges".to_owned());
}

fn command(config: &ContainerConfig) -> String {
    let arguments = config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten());
    format!("`{}`", arguments.cloned().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"Id":"c","Image":"i","Config":{"User":"65532:65532","Cmd":["serve"],"Entrypoint":null,
        "Healthcheck":{"Test":["CMD","check"],"Interval":10000000000,"Retries":3}},"HostConfig":{"ReadonlyRootfs":true,"Privileged":false,"CapAdd":null,
        "CapDrop":["ALL"],"SecurityOpt":["no-new-privileges:true"]},
        "State":{"Status":"running","Health":{"Status":"healthy"}}}"#;

    fn image() -> ContainerConfig {
        serde_json::from_str(
            r#"{"User":"65532:65532","Cmd":["serve"],
                "Healthcheck":{"Test":["CMD","check"],"Interval":10000000000,"Retries":3}}"#,
        )
        .unwrap()
    }

    /// Everything that can be required.
    fn strict() -> TestRules {
        TestRules { user: Some(65532), read_only: true, capabilities: Some(Vec::new()), own_command: true }
    }

    fn judged(from: &str, to: &str, users: &[&str]) -> Vec<String> {
        assert!(GOOD.contains(from));
        let users: Vec<String> = users.iter().map(|user| (*user).to_owned()).collect();
        judge(&strict(), &serde_json::from_str(&GOOD.replace(from, to)).unwrap(), &image(), &users)
    }

    #[test]
    fn a_confined_container_has_no_fault() {
        assert_eq!(judged("serve", "serve", &["65532", "65532"]), [""; 0]);
    }

    #[test]
    fn every_fault_is_found() {
        for (from, to, fault) in [
            ("\"serve\"", "\"sh\"", "it runs `sh`, expected `serve`"),
            ("\"User\":\"65532:65532\"", "\"User\":\"0\"", "it runs as user `0`"),
            ("[\"CMD\",\"check\"]", "[\"NONE\"]", "its health check is not the image's"),
            ("10000000000", "1000000000", "its health check is not the image's"),
            ("\"Retries\":3", "\"Retries\":30", "its health check is not the image's"),
            ("\"Retries\":3", "\"StartPeriod\":1,\"Retries\":3", "its health check is not the image's"),
            ("\"Retries\":3", "\"Timeout\":1,\"Retries\":3", "its health check is not the image's"),
            ("\"Status\":\"healthy\"", "\"Status\":\"starting\"", "its health is `starting`"),
            ("\"ReadonlyRootfs\":true", "\"ReadonlyRootfs\":false", "its root file system is writable"),
            ("\"Privileged\":false", "\"Privileged\":true", "it is privileged"),
            ("\"CapAdd\":null", "\"CapAdd\":[\"NET_ADMIN\"]", "it has added capabilities: NET_ADMIN"),
            ("[\"ALL\"]", "[\"CHOWN\"]", "not all capabilities are dropped"),
            ("\"no-new-privileges:true\"", "", "it can gain new privileges"),
        ] {
            assert_eq!(judged(from, to, &["65532"]), [fault], "{to}");
        }
        assert_eq!(judged("serve", "serve", &["65532", "0"]), ["processes run as user 0"]);
        assert_eq!(judged("serve", "serve", &[]), ["it has no process"]);
        let container: ContainerInspect = serde_json::from_str(GOOD).unwrap();
        let bare = ContainerConfig { healthcheck: None, user: "root".into(), ..image() };
        let wrong = judge(&strict(), &container, &bare, &["65532".to_owned()]);
        assert!(wrong.contains(&"its image has no HEALTHCHECK".to_owned()), "{wrong:?}");
        assert!(wrong.contains(&"its image's USER is `root`, expected 65532".to_owned()), "{wrong:?}");
    }

    #[test]
    fn only_what_is_declared_is_required() {
        let plain = r#"{"Id":"c","Image":"i","Config":{"User":"","Cmd":["sh"],"Entrypoint":null},
            "HostConfig":{"ReadonlyRootfs":false,"Privileged":false,"CapAdd":["CAP_NET_BIND_SERVICE","SYS_TIME"],
            "CapDrop":["ALL"],"SecurityOpt":["no-new-privileges"]},"State":{"Status":"running"}}"#;
        let container: ContainerInspect = serde_json::from_str(plain).unwrap();
        let judged = |rules: TestRules| judge(&rules, &container, &image(), &["0".to_owned()]);
        assert_eq!(judged(TestRules::default()), [""; 0]);
        let read_only = TestRules { read_only: true, ..TestRules::default() };
        assert_eq!(judged(read_only), ["its root file system is writable"]);
        let allow = |names: &[&str]| TestRules {
            capabilities: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..TestRules::default()
        };
        assert_eq!(judged(allow(&["NET_BIND_SERVICE"])), ["it has added capabilities: SYS_TIME"]);
        assert_eq!(judged(allow(&["NET_BIND_SERVICE", "SYS_TIME"])), [""; 0]);
        let user = judged(TestRules { user: Some(7), ..TestRules::default() });
        assert_eq!(
            user,
            [
                "its image's USER is `65532:65532`, expected 7",
                "it runs as user ``",
                "processes run as user 0"
            ]
        );
    }
}
