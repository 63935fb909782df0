//! Checks how a stack's containers run: with the image's own command and health check, as an unprivileged user, on a
//! read-only root, without capabilities (DESIGN: "Services").

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::probes::report::{ProbeOutcome, ProbeVerdict};
use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::docker::Docker;
use engine::inspect::{ContainerConfig, Healthcheck};
use model::manifest::Service;

/// The user that every image runs as.
const USER: &str = "65532";

/// Checks the container of each service. Faults are in the outcomes.
pub(super) fn check(services: &[&Service], project: &Project, docker: &Docker) -> Result<Vec<ProbeOutcome>> {
    let containers = project.containers()?;
    let mut outcomes = Vec::new();
    for service in services {
        let started = Instant::now();
        let container = containers.iter().find(|container| service.is_compose(&container.service));
        let id = &container.with_context(|| format!("{} has no container", service.name))?.id;
        let found = docker.inspect_container(id)?;
        let image = docker.look(&found.image)?.and_then(|image| image.config).unwrap_or_default();
        let wrong = judge(&found, &image, &docker.process_users(id)?);
        let verdict = if wrong.is_empty() {
            ProbeVerdict::Passed
        } else {
            ProbeVerdict::failed(wrong, &format!("docker inspect {id}"))
        };
        let probe = "runs confined, with its image's own command";
        outcomes.push(ProbeOutcome::new(&service.name, probe, verdict, started, 1, &docker.runner.secrets));
    }
    Ok(outcomes)
}

fn judge(container: &ContainerInspect, image: &ContainerConfig, users: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut require = |holds: bool, fault: String| {
        if !holds {
            wrong.push(fault);
        }
    };
    let (config, host) = (&container.config, &container.host_config);
    let health = container.state.health.as_ref().map_or("not checked", |health| health.status.as_str());
    let checks = |check: &Option<Healthcheck>| {
        let test = check.as_ref().and_then(|check| check.test.as_deref()).unwrap_or_default();
        test.first().is_some_and(|first| first != "NONE")
    };
    require(checks(&image.healthcheck), "its image has no HEALTHCHECK".to_owned());
    require(config.healthcheck == image.healthcheck, "its health check is not the image's".to_owned());
    require(health == "healthy", format!("its health is `{health}`"));
    require(
        (&config.entrypoint, &config.cmd) == (&image.entrypoint, &image.cmd),
        format!("it runs {}, expected {}", command(config), command(image)),
    );
    let uid = image.user.split(':').next().unwrap_or_default();
    require(uid == USER, format!("its image's USER is `{}`, expected {USER}", image.user));
    require(config.user == image.user, format!("it runs as user `{}`", config.user));
    let others: Vec<&str> = users.iter().map(String::as_str).filter(|user| *user != USER).collect();
    require(!users.is_empty(), "it has no process".to_owned());
    require(others.is_empty(), format!("processes run as user {}", others.join(", ")));
    require(host.readonly_rootfs, "its root file system is writable".to_owned());
    require(!host.privileged, "it is privileged".to_owned());
    let added = host.cap_add.as_deref().unwrap_or_default();
    require(added.is_empty(), format!("it has added capabilities: {}", added.join(", ")));
    let has = |list: &Option<Vec<String>>, value: &str| {
        list.iter().flatten().any(|found| found.eq_ignore_ascii_case(value))
    };
    require(has(&host.cap_drop, "ALL"), "not all capabilities are dropped".to_owned());
    let spellings = ["no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"];
    require(
        spellings.iter().any(|spelling| has(&host.security_opt, spelling)),
        "it can gain new privileges".to_owned(),
    );
    wrong
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

    fn judged(from: &str, to: &str, users: &[&str]) -> Vec<String> {
        assert!(GOOD.contains(from));
        let users: Vec<String> = users.iter().map(|user| (*user).to_owned()).collect();
        judge(&serde_json::from_str(&GOOD.replace(from, to)).unwrap(), &image(), &users)
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
        let wrong = judge(&container, &bare, &["65532".to_owned()]);
        assert!(wrong.contains(&"its image has no HEALTHCHECK".to_owned()), "{wrong:?}");
        assert!(wrong.contains(&"its image's USER is `root`, expected 65532".to_owned()), "{wrong:?}");
    }
}
