//! Checks how a stack's containers run, as `[test]` and `[service.NAME.test]` of the manifest require: the command and health
//! check, the user, the root file system, the capabilities.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::docker::Docker;
use engine::inspect::{ContainerConfig, Healthcheck};
use model::manifest::Service;
use model::test_rules::{TestRules, TestUser, capability};

/// Checks the container of each service that has requirements. Faults are in the outcomes.
pub(super) fn check(services: &[&Service], project: &Project, docker: &Docker) -> Result<Vec<ProbeOutcome>> {
    let services: Vec<_> = services.iter().filter(|service| !service.test.is_empty()).collect();
    if services.is_empty() {
        return Ok(Vec::new());
    }
    let containers = project.containers()?;
    let mut outcomes = Vec::new();
    for service in services {
        let (rules, started) = (&service.test, Instant::now());
        let container = containers.iter().find(|container| service.is_compose(&container.service));
        let id = &container.with_context(|| format!("{} has no container", service.name))?.id;
        let found = docker.inspect_container(id)?;
        let image = docker.look(&found.image)?.and_then(|image| image.config).unwrap_or_default();
        let users = match &rules.user {
            Some(user) => Some(ContainerUsers::of(id, user, &found, docker)?),
            None => None,
        };
        let wrong = judge(rules, &found, &image, users.as_ref());
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

/// The users of a container.
struct ContainerUsers {
    /// The user IDs of its processes.
    processes: Vec<String>,
    /// Its `/etc/passwd`; empty where no name must be looked up.
    passwd: String,
}

impl ContainerUsers {
    fn of(
        id: &str,
        expected: &TestUser,
        container: &ContainerInspect,
        docker: &Docker,
    ) -> Result<ContainerUsers> {
        let is_named = matches!(expected, TestUser::Name(_)) || number(&container.config.user).is_none();
        let passwd = if is_named { docker.passwd(id)? } else { String::new() };
        Ok(ContainerUsers { processes: docker.process_users(id)?, passwd })
    }

    /// The ID of a name (passwd(5)).
    fn id(&self, name: &str) -> Option<u32> {
        let mut lines = self.passwd.lines().map(|line| line.split(':'));
        lines.find_map(
            |mut fields| if fields.next() == Some(name) { fields.nth(1)?.parse().ok() } else { None },
        )
    }
}

/// The user in a USER instruction or `--user`, without the group.
fn user_part(user: &str) -> &str {
    user.split(':').next().unwrap_or_default()
}

/// The user ID of USER or `--user`, unless it is a name. No user means root.
fn number(user: &str) -> Option<u32> {
    match user_part(user) {
        "" => Some(0),
        part => part.parse().ok(),
    }
}

/// The faults of a container, given its image's configuration and, if the rules name a user, its own users.
fn judge(
    rules: &TestRules,
    container: &ContainerInspect,
    image: &ContainerConfig,
    users: Option<&ContainerUsers>,
) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    if rules.own_command {
        own_command(container, image, &mut faults);
    }
    if let (Some(expected), Some(users)) = (&rules.user, users) {
        own_user(expected, &container.config.user, users, &mut faults);
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

/// Compares what really runs: the user that the container starts as, and those of its processes.
fn own_user(expected: &TestUser, configured: &str, users: &ContainerUsers, faults: &mut Faults) {
    let missing = |name: &str| format!("user `{name}` is not in the container's /etc/passwd");
    let (id, expected) = match expected {
        TestUser::Id(id) => (Some(*id), id.to_string()),
        TestUser::Name(name) => (users.id(name), format!("`{name}`")),
    };
    let Some(id) = id else {
        faults.0.push(missing(expected.trim_matches('`')));
        return;
    };
    let name = user_part(configured);
    match number(configured).or_else(|| users.id(name)) {
        None => faults.0.push(missing(name)),
        Some(start) => faults.require(start == id, || {
            let shown = if name.is_empty() { "root" } else { name };
            format!("it starts as user `{shown}`, expected {expected}")
        }),
    }
    let id = id.to_string();
    let others: BTreeSet<&str> =
        users.processes.iter().map(String::as_str).filter(|found| *found != id).collect();
    faults.require(!users.processes.is_empty(), || "it has no process".to_owned());
    faults.require(others.is_empty(), || {
        let others: Vec<&str> = others.iter().copied().collect();
        format!("processes run as user {}, expected {expected}", others.join(", "))
    });
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
        TestRules {
            user: Some(TestUser::Id(65532)),
            read_only: true,
            capabilities: Some(Vec::new()),
            own_command: true,
        }
    }

    fn judged(from: &str, to: &str, users: &[&str]) -> Vec<String> {
        assert!(GOOD.contains(from));
        let users = running(users);
        judge(&strict(), &serde_json::from_str(&GOOD.replace(from, to)).unwrap(), &image(), Some(&users))
    }

    /// A container with processes of these users.
    fn running(users: &[&str]) -> ContainerUsers {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n#app:x:1:1::/:\nbroken\napp:x:1234:1235::/:/bin/false\n";
        let processes = users.iter().map(|user| (*user).to_owned()).collect();
        ContainerUsers { processes, passwd: passwd.to_owned() }
    }

    #[test]
    fn users_are_compared_by_name_and_by_number() {
        let judged = |expected: TestUser, configured: &str, users: &[&str]| {
            let mut faults = Faults(Vec::new());
            own_user(&expected, configured, &running(users), &mut faults);
            faults.0
        };
        let (id, app) = (TestUser::Id(1234), TestUser::Name("app".to_owned()));
        for configured in ["app", "app:app", "1234", "1234:0"] {
            for expected in [&id, &app] {
                assert_eq!(judged(expected.clone(), configured, &["1234"]), [""; 0], "{configured}");
            }
        }
        for configured in ["", "root", "0"] {
            assert_eq!(judged(TestUser::Id(0), configured, &["0"]), [""; 0], "{configured}");
        }
        assert_eq!(
            judged(app.clone(), "", &["0", "1234", "0"]),
            ["it starts as user `root`, expected `app`", "processes run as user 0, expected `app`"]
        );
        assert_eq!(judged(id.clone(), "1", &["1234"]), ["it starts as user `1`, expected 1234"]);
        assert_eq!(judged(id, "nobody", &["1234"]), ["user `nobody` is not in the container's /etc/passwd"]);
        let nobody = TestUser::Name("nobody".to_owned());
        assert_eq!(judged(nobody, "app", &["1234"]), ["user `nobody` is not in the container's /etc/passwd"]);
    }

    #[test]
    fn a_confined_container_has_no_fault() {
        assert_eq!(judged("serve", "serve", &["65532", "65532"]), [""; 0]);
    }

    #[test]
    fn every_fault_is_found() {
        for (from, to, fault) in [
            ("\"serve\"", "\"sh\"", "it runs `sh`, expected `serve`"),
            ("\"User\":\"65532:65532\"", "\"User\":\"0\"", "it starts as user `0`, expected 65532"),
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
        assert_eq!(judged("serve", "serve", &["65532", "0"]), ["processes run as user 0, expected 65532"]);
        assert_eq!(judged("serve", "serve", &[]), ["it has no process"]);
        let container: ContainerInspect = serde_json::from_str(GOOD).unwrap();
        let bare = ContainerConfig { healthcheck: None, ..image() };
        let wrong = judge(&strict(), &container, &bare, Some(&running(&["65532"])));
        assert!(wrong.contains(&"its image has no HEALTHCHECK".to_owned()), "{wrong:?}");
    }

    #[test]
    fn only_what_is_declared_is_required() {
        let plain = r#"{"Id":"c","Image":"i","Config":{"User":"","Cmd":["sh"],"Entrypoint":null},
            "HostConfig":{"ReadonlyRootfs":false,"Privileged":false,"CapAdd":["CAP_NET_BIND_SERVICE","SYS_TIME"],
            "CapDrop":["ALL"],"SecurityOpt":["no-new-privileges"]},"State":{"Status":"running"}}"#;
        let container: ContainerInspect = serde_json::from_str(plain).unwrap();
        let judged = |rules: TestRules| judge(&rules, &container, &image(), Some(&running(&["0"])));
        assert_eq!(judged(TestRules::default()), [""; 0]);
        let read_only = TestRules { read_only: true, ..TestRules::default() };
        assert_eq!(judged(read_only), ["its root file system is writable"]);
        let allow = |names: &[&str]| TestRules {
            capabilities: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..TestRules::default()
        };
        assert_eq!(judged(allow(&["NET_BIND_SERVICE"])), ["it has added capabilities: SYS_TIME"]);
        assert_eq!(judged(allow(&["NET_BIND_SERVICE", "SYS_TIME"])), [""; 0]);
        let user = judged(TestRules { user: Some(TestUser::Id(7)), ..TestRules::default() });
        assert_eq!(user, ["it starts as user `root`, expected 7", "processes run as user 0, expected 7"]);
    }
}
