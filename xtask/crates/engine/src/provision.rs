//! Getting an engine onto a Debian or Ubuntu machine from the distribution's own packages. What will be done is a value
//! first: it is said before it is done, and tests look at it without a machine.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::docker::Docker;
use crate::facts::{Facts, LEAST_BUILDX, LEAST_COMPOSE, LEAST_ENGINE};
use crate::machine::Machine;
use host::files;
use host::terminal::Terminal;
use host::wait;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Write a file of apt's configuration.
    Write {
        /// Where.
        path: &'static str,
        /// What.
        text: String,
        /// Why, in words.
        why: String,
    },
    /// Refresh the package lists.
    Update,
    /// Install packages.
    Install(Vec<String>),
    /// Start the daemon through systemd.
    StartService,
    /// Start the daemon by hand, as a process of its own.
    StartDaemon,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Write { path, why, .. } => write!(f, "write {path}: {why}"),
            Step::Update => f.write_str("apt-get update"),
            Step::Install(packages) => write!(f, "apt-get install {}", packages.join(" ")),
            Step::StartService => f.write_str("systemctl start docker"),
            Step::StartDaemon => f.write_str("start dockerd in the background"),
        }
    }
}

/// The release whose packages are new enough, where the machine's own are not: engine 20 of Debian 12 knows no named
/// contexts, and there is no Buildx.
const NEWER_RELEASE: &str = "trixie";
const SOURCE_FILE: &str = "/etc/apt/sources.list.d/xtask-trixie.sources";
const PIN_FILE: &str = "/etc/apt/preferences.d/xtask-trixie";

/// Everything that has to happen until an engine answers that is new enough; empty when one does.
///
/// # Errors
/// When this machine is none that this tool can provision; the remedy is in the text.
pub fn plan(facts: &Facts, machine: &Machine) -> Result<Vec<Step>> {
    let lacks = |found, least| found < Some(least);
    let mut packages = Vec::new();
    if !machine.has_daemon && facts.engine.is_none() {
        packages.push("docker.io");
        packages.push("docker-cli");
    } else if facts.client.is_none() {
        packages.push("docker-cli");
    }
    if lacks(facts.buildx, LEAST_BUILDX) {
        packages.push("docker-buildx");
    }
    if lacks(facts.compose, LEAST_COMPOSE) {
        packages.push("docker-compose");
    }
    if let Some(engine) = facts.engine.filter(|engine| *engine < LEAST_ENGINE) {
        bail!(
            "the engine that answers is {engine}, and {LEAST_ENGINE} is needed: upgrade it by hand (it may serve others, so nothing here touches it)"
        );
    }
    let mut steps = install(machine, &packages)?;
    if facts.engine.is_none() {
        if !machine.is_root {
            bail!(
                "no engine answers and only root may start one: start it, or run this as root with --with-engine"
            );
        }
        steps.push(if machine.has_systemd { Step::StartService } else { Step::StartDaemon });
    }
    Ok(steps)
}

/// The steps that bring packages in.
///
/// # Errors
/// When the distribution is unknown or the person may not install.
pub fn install(machine: &Machine, packages: &[&str]) -> Result<Vec<Step>> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let list = packages.join(", ");
    if !machine.is_root {
        bail!(
            "{list} must be installed and only root may: run this as root with --with-engine, or install by hand"
        );
    }
    let mut names: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    let mut steps = Vec::new();
    match (machine.id.as_str(), machine.version.as_str()) {
        ("ubuntu", _) => {
            // Ubuntu's docker-cli is part of docker.io, and its Compose v2 has a name of its own.
            names.retain(|name| name != "docker-cli");
            for name in names.iter_mut().filter(|name| *name == "docker-compose") {
                "docker-compose-v2".clone_into(name);
            }
        }
        // Only docker's own packages are too old there; others come from the release itself.
        ("debian", "12") if names.iter().any(|name| name.starts_with("docker")) => {
            let Some(mirror) = &machine.mirror else {
                bail!(
                    "apt has no source for Debian {}: add one to /etc/apt/sources.list.d, then run this again",
                    machine.codename
                );
            };
            steps.extend(newer_release(mirror));
            for name in names.iter_mut().filter(|name| name.starts_with("docker")) {
                *name = format!("{name}/{NEWER_RELEASE}");
            }
        }
        ("debian", version) if version.parse::<u32>().is_ok_and(|version| version >= 12) => {}
        (id, version) => bail!(
            "{list} must be installed, and this tool installs on Debian 12 or newer and Ubuntu only (here: {id} {version}): \
             install Docker Engine {LEAST_ENGINE}, Buildx {LEAST_BUILDX} and Compose {LEAST_COMPOSE} or newer by hand"
        ),
    }
    steps.push(Step::Update);
    steps.push(Step::Install(names));
    Ok(steps)
}

fn newer_release(mirror: &str) -> [Step; 2] {
    [
        Step::Write {
            path: SOURCE_FILE,
            text: format!(
                "Types: deb\nURIs: {mirror}\nSuites: {NEWER_RELEASE}\nComponents: main\n\
                 Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            ),
            why: format!("Debian {NEWER_RELEASE} from the mirror that apt uses already"),
        },
        Step::Write {
            path: PIN_FILE,
            text: format!("Package: *\nPin: release n={NEWER_RELEASE}\nPin-Priority: 50\n"),
            why: "pinned low, so that nothing else is ever taken from it".to_owned(),
        },
    ]
}

/// Does the steps, each said before it is done.
///
/// # Errors
/// The first that fails, with its remedy.
pub fn execute(steps: &[Step], docker: &Docker, log: &Path, terminal: &Terminal) -> Result<()> {
    if steps.is_empty() {
        return Ok(());
    }
    terminal.say("This machine needs:");
    for step in steps {
        terminal.say(format!("  - {step}"));
    }
    for step in steps {
        terminal.say(format!("{step} …"));
        one(step, docker, log).with_context(|| format!("could not {step}"))?;
    }
    Ok(())
}

fn one(step: &Step, docker: &Docker, log: &Path) -> Result<()> {
    let apt = || {
        let cmd = docker.runner.cmd("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
        cmd.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120"])
    };
    match step {
        Step::Write { path, text, .. } => files::write_atomically(Path::new(path), text.as_bytes()),
        Step::Update => Ok(apt().args(["-o", "APT::Update::Error-Mode=any", "update"]).read().map(drop)?),
        Step::Install(packages) => {
            Ok(apt().args(["install", "--no-install-recommends"]).args(packages).read().map(drop)?)
        }
        Step::StartService => {
            docker.runner.cmd("systemctl").args(["start", "docker"]).read()?;
            wait_for(docker, None)
        }
        Step::StartDaemon => {
            if let Some(dir) = log.parent() {
                files::create_dir(dir)?;
            }
            docker.runner.cmd("dockerd").env("PATH", daemon_path()).detach(log)?;
            wait_for(docker, Some(log))
        }
    }
}

/// The daemon and its helpers (containerd, iptables) live in folders that a user's PATH may lack.
fn daemon_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// A daemon starts in one or two seconds; a busy machine is given a minute.
fn wait_for(docker: &Docker, log: Option<&Path>) -> Result<()> {
    let (pause, deadline) = (Duration::from_millis(250), Duration::from_secs(60));
    let answered =
        wait::poll(pause, deadline, &docker.runner.interrupt, || Ok(docker.answers().then_some(())))?;
    if answered.is_some() {
        return Ok(());
    }
    let said = log.and_then(|log| files::read(log).ok()).unwrap_or_default();
    bail!("the engine was started and does not answer; its last words:\n{}", host::process::tail(&said, 15))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    fn bookworm() -> Machine {
        let mut machine =
            Machine::from_os_release("ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n");
        machine.is_root = true;
        machine.mirror = Some("http://m.example/debian".into());
        machine
    }

    fn words(steps: &[Step]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_bare_debian_12_gets_everything_from_the_newer_release_pinned_low() {
        let steps = plan(&Facts::default(), &bookworm()).unwrap();
        assert_eq!(
            words(&steps)[2..],
            [
                "apt-get update",
                "apt-get install docker.io/trixie docker-cli/trixie docker-buildx/trixie docker-compose/trixie",
                "start dockerd in the background"
            ]
        );
        assert!(
            matches!(&steps[0], Step::Write { text, .. } if text.contains("URIs: http://m.example/debian\n"))
        );
        assert!(matches!(&steps[1], Step::Write { text, .. } if text.contains("Pin-Priority: 50")));
    }

    #[test]
    fn what_is_not_docker_comes_from_the_release_itself() {
        assert_eq!(
            words(&install(&bookworm(), &["mmdebstrap"]).unwrap()),
            ["apt-get update", "apt-get install mmdebstrap"]
        );
    }

    #[test]
    fn ubuntu_has_its_own_names() {
        let machine = Machine {
            id: "ubuntu".into(),
            version: "24.04".into(),
            is_root: true,
            has_systemd: true,
            ..Machine::default()
        };
        assert_eq!(
            words(&plan(&Facts::default(), &machine).unwrap()),
            [
                "apt-get update",
                "apt-get install docker.io docker-buildx docker-compose-v2",
                "systemctl start docker"
            ]
        );
    }

    fn complete() -> Facts {
        Facts {
            client: Some(Version::new(28, 2)),
            buildx: Some(LEAST_BUILDX),
            compose: Some(LEAST_COMPOSE),
            engine: Some(LEAST_ENGINE),
            ..Facts::default()
        }
    }

    #[test]
    fn an_engine_that_answers_is_used_as_it_is() {
        assert_eq!(plan(&complete(), &bookworm()).unwrap(), []);
        let old = Facts { engine: Some(Version::new(20, 10)), ..complete() };
        assert!(plan(&old, &bookworm()).unwrap_err().to_string().contains("upgrade it by hand"));
    }

    #[test]
    fn an_installed_engine_is_only_started() {
        let machine = Machine { has_daemon: true, ..bookworm() };
        let facts = Facts { engine: None, ..complete() };
        assert_eq!(words(&plan(&facts, &machine).unwrap()), ["start dockerd in the background"]);
    }

    #[test]
    fn what_cannot_be_done_says_what_to_do() {
        let user = Machine { is_root: false, ..bookworm() };
        assert!(plan(&Facts::default(), &user).unwrap_err().to_string().contains("as root"));
        let other =
            Machine { id: "fedora".into(), version: "43".into(), is_root: true, ..Machine::default() };
        assert!(plan(&Facts::default(), &other).unwrap_err().to_string().contains("by hand"));
    }
}
