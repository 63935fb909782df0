//! How the containers of a stack run, held against what every service promises: its image's own command and health check, as
//! nobody in particular, on a read-only root, without capabilities (DESIGN: "Services").

use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::probes::report::{Outcome, Verdict};
use engine::compose::Project;
use engine::containers::ContainerInspect;
use engine::docker::Docker;
use engine::inspect::{ContainerConfig, Healthcheck};
use model::manifest::Service;

/// The user that every image runs as.
const USER: &str = "65532";

/// Looks at the container of each service.
///
/// # Errors
/// When docker cannot be asked. What is not as promised is in the outcome.
pub fn look(services: &[&Service], project: &Project, docker: &Docker) -> Result<Vec<Outcome>> {
    let containers = project.containers()?;
    let mut outcomes = Vec::new();
    for service in services {
        let started = Instant::now();
        let container = containers.iter().find(|container| container.service == service.compose);
        let id = &container.with_context(|| format!("{} has no container", service.compose))?.id;
        let found = docker.inspect_container(id)?;
        let image = docker.look(&found.image)?.and_then(|image| image.config).unwrap_or_default();
        let wrong = judge(&found, &image, &docker.process_users(id)?);
        let verdict = if wrong.is_empty() {
            Verdict::Passed
        } else {
            Verdict::Failed { wrong, request: format!("docker inspect {id}"), answer: String::new() }
        };
        outcomes.push(Outcome {
            group: service.name.clone(),
            probe: "runs confined, by its image's own command".to_owned(),
            verdict,
            milliseconds: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            tries: 1,
        });
    }
    Ok(outcomes)
}

/// Everything that is not as promised.
fn judge(container: &ContainerInspect, image: &ContainerConfig, users: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut hold = |holds: bool, fault: String| {
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
    hold(checks(&image.healthcheck), "its image has no HEALTHCHECK".to_owned());
    hold(config.healthcheck == image.healthcheck, "its health check is not the image's".to_owned());
    hold(health == "healthy", format!("docker calls it {health}"));
    hold(
        (&config.entrypoint, &config.cmd) == (&image.entrypoint, &image.cmd),
        format!("it runs {}, its image says {}", command(config), command(image)),
    );
    let uid = image.user.split(':').next().unwrap_or_default();
    hold(uid == USER, format!("its image's USER is `{}`, expected {USER}", image.user));
    hold(config.user == image.user, format!("it was started as user `{}`", config.user));
    let strangers: Vec<&str> = users.iter().map(String::as_str).filter(|user| *user != USER).collect();
    hold(!users.is_empty(), "it has no process".to_owned());
    hold(strangers.is_empty(), format!("processes run as user {}", strangers.join(", ")));
    hold(host.readonly_rootfs, "its root file system can be written".to_owned());
    hold(!host.privileged, "it is privileged".to_owned());
    let added = host.cap_add.as_deref().unwrap_or_default();
    hold(added.is_empty(), format!("it was given {}", added.join(", ")));
    let has = |list: &Option<Vec<String>>, word: &str| {
        list.iter().flatten().any(|found| found.eq_ignore_ascii_case(word))
    };
    hold(has(&host.cap_drop, "ALL"), "not all capabilities were dropped".to_owned());
    let new_privileges = has(&host.security_opt, "no-new-privileges")
        || has(&host.security_opt, "no-new-privileges:true")
        || has(&host.security_opt, "no-new-privileges=true");
    hold(new_privileges, "it may gain new privileges".to_owned());
    wrong
}

fn command(config: &ContainerConfig) -> String {
    let words = config.entrypoint.iter().flatten().chain(config.cmd.iter().flatten());
    format!("`{}`", words.cloned().collect::<Vec<_>>().join(" "))
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
    fn what_is_as_promised_has_no_fault() {
        assert_eq!(judged("serve", "serve", &["65532", "65532"]), [""; 0]);
    }

    #[test]
    fn every_promise_is_looked_at() {
        for (from, to, fault) in [
            ("\"serve\"", "\"sh\"", "it runs `sh`, its image says `serve`"),
            ("\"User\":\"65532:65532\"", "\"User\":\"0\"", "it was started as user `0`"),
            ("[\"CMD\",\"check\"]", "[\"NONE\"]", "its health check is not the image's"),
            ("10000000000", "1000000000", "its health check is not the image's"),
            ("\"Retries\":3", "\"Retries\":30", "its health check is not the image's"),
            ("\"Retries\":3", "\"StartPeriod\":1,\"Retries\":3", "its health check is not the image's"),
            ("\"Retries\":3", "\"Timeout\":1,\"Retries\":3", "its health check is not the image's"),
            ("\"Status\":\"healthy\"", "\"Status\":\"starting\"", "docker calls it starting"),
            ("\"ReadonlyRootfs\":true", "\"ReadonlyRootfs\":false", "its root file system can be written"),
            ("\"Privileged\":false", "\"Privileged\":true", "it is privileged"),
            ("\"CapAdd\":null", "\"CapAdd\":[\"NET_ADMIN\"]", "it was given NET_ADMIN"),
            ("[\"ALL\"]", "[\"CHOWN\"]", "not all capabilities were dropped"),
            ("\"no-new-privileges:true\"", "", "it may gain new privileges"),
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
