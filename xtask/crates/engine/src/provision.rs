//! Installing an engine on Debian or Ubuntu from the distribution's packages. The steps are planned as data, printed, then
//! executed.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::docker::Docker;
use crate::facts::{Facts, LEAST_BUILDX, LEAST_COMPOSE, LEAST_ENGINE};
use crate::machine::Machine;
use host::terminal::Terminal;
use host::{files, wait};

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvisionStep {
    /// Write a file of apt's configuration.
    Write {
        /// The file.
        path: &'static str,
        /// Its content.
        text: String,
        /// The reason, as printed.
        why: String,
    },
    /// Refresh the package lists.
    Update,
    /// Install packages.
    Install(Vec<String>),
    /// Register emulators of other architectures with the kernel.
    Emulate(Vec<String>),
    /// Start the daemon through systemd.
    StartService,
    /// Start the daemon without systemd.
    StartDaemon,
}

impl fmt::Display for ProvisionStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProvisionStep::Write { path, why, .. } => write!(f, "write {path}: {why}"),
            ProvisionStep::Update => f.write_str("apt-get update"),
            ProvisionStep::Install(packages) => write!(f, "apt-get install {}", packages.join(" ")),
            ProvisionStep::Emulate(names) => write!(f, "update-binfmts --enable {}", names.join(" ")),
            ProvisionStep::StartService => f.write_str("systemctl start docker"),
            ProvisionStep::StartDaemon => f.write_str("start dockerd in the background"),
        }
    }
}

/// The Debian release with new enough packages: Debian 12 has engine 20 without named contexts, and no Buildx.
const NEWER_RELEASE: &str = "trixie";
const SOURCE_FILE: &str = "/etc/apt/sources.list.d/xtask-trixie.sources";
const PIN_FILE: &str = "/etc/apt/preferences.d/xtask-trixie";

/// The steps until a new enough engine answers; empty when one does.
///
/// # Errors
/// When this machine is not supported.
pub fn plan(facts: &Facts, machine: &Machine) -> Result<Vec<ProvisionStep>> {
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
            "Docker Engine {engine} is too old: {LEAST_ENGINE} or newer is needed\nhelp: upgrade it manually; this program never replaces an existing engine"
        );
    }
    let mut steps = install(machine, &packages)?;
    if facts.engine.is_none() {
        if !machine.is_root {
            bail!(
                "no engine answers, and only root can start one\nhelp: start it, or run this as root with --with-engine"
            );
        }
        steps.push(if machine.has_systemd {
            ProvisionStep::StartService
        } else {
            ProvisionStep::StartDaemon
        });
    }
    Ok(steps)
}

/// The steps that install packages.
///
/// # Errors
/// When the distribution is not supported, or without root.
pub fn install(machine: &Machine, packages: &[&str]) -> Result<Vec<ProvisionStep>> {
    if packages.is_empty() {
        return Ok(Vec::new());
    }
    let list = packages.join(", ");
    if !machine.is_root {
        bail!("not installed: {list}\nhelp: run this as root with --with-engine, or install it by hand");
    }
    let mut names: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    let mut steps = Vec::new();
    match (machine.id.as_str(), machine.version.as_str()) {
        ("ubuntu", _) => {
            // Ubuntu's docker-cli is part of docker.io, and its Compose v2 has another name.
            names.retain(|name| name != "docker-cli");
            for name in names.iter_mut().filter(|name| *name == "docker-compose") {
                "docker-compose-v2".clone_into(name);
            }
        }
        ("debian", "12") if names.iter().any(|name| is_too_old(name)) => {
            let Some(mirror) = &machine.mirror else {
                bail!(
                    "apt has no source for Debian {}\nhelp: add one to /etc/apt/sources.list.d, then run this again",
                    machine.codename
                );
            };
            steps.extend(newer_release(mirror));
            for name in names.iter_mut().filter(|name| is_too_old(name)) {
                *name = format!("{name}/{NEWER_RELEASE}");
            }
        }
        ("debian", version) if version.parse::<u32>().is_ok_and(|version| version >= 12) => {}
        (id, version) => bail!(
            "not installed: {list}; this program installs only on Debian 12 or newer and Ubuntu, not on {id} {version}\n\
             help: install Docker Engine {LEAST_ENGINE}, Buildx {LEAST_BUILDX} and Compose {LEAST_COMPOSE} or newer by hand"
        ),
    }
    steps.push(ProvisionStep::Update);
    steps.push(ProvisionStep::Install(names));
    Ok(steps)
}

/// Whether the package is too old in Debian 12, or missing there.
fn is_too_old(package: &str) -> bool {
    package.starts_with("docker") || ["kubernetes-client", "cosign"].contains(&package)
}

fn newer_release(mirror: &str) -> [ProvisionStep; 2] {
    [
        ProvisionStep::Write {
            path: SOURCE_FILE,
            text: format!(
                "Types: deb\nURIs: {mirror}\nSuites: {NEWER_RELEASE}\nComponents: main\n\
                 Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
            ),
            why: format!("Debian {NEWER_RELEASE} from apt's current mirror"),
        },
        ProvisionStep::Write {
            path: PIN_FILE,
            text: format!("Package: *\nPin: release n={NEWER_RELEASE}\nPin-Priority: 50\n"),
            why: "low priority, so that no other package comes from it".to_owned(),
        },
    ]
}

/// Executes the steps and prints each.
///
/// # Errors
/// That of the first failed step.
pub fn execute(steps: &[ProvisionStep], docker: &Docker, log: &Path, terminal: &Terminal) -> Result<()> {
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

fn one(step: &ProvisionStep, docker: &Docker, log: &Path) -> Result<()> {
    let apt = || {
        let cmd = docker.runner.cmd("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
        cmd.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=120"])
    };
    match step {
        ProvisionStep::Write { path, text, .. } => files::write_atomically(Path::new(path), text.as_bytes()),
        ProvisionStep::Update => {
            Ok(apt().args(["-o", "APT::Update::Error-Mode=any", "update"]).long().read().map(drop)?)
        }
        ProvisionStep::Install(packages) => {
            let install = apt().args(["install", "--no-install-recommends"]).args(packages);
            // Only the download may be interrupted: unpacking must complete.
            install.clone().arg("--download-only").long().read()?;
            docker.runner.interrupt.check()?;
            Ok(install.apart().read().map(drop)?)
        }
        ProvisionStep::Emulate(names) => {
            let register = |name: &String| {
                let cmd = docker.runner.cmd("update-binfmts").env("PATH", daemon_path());
                Ok(cmd.args(["--enable", name]).read().map(drop)?)
            };
            names.iter().try_for_each(register)
        }
        ProvisionStep::StartService => {
            docker.runner.cmd("systemctl").args(["start", "docker"]).read()?;
            wait_for(docker, None)
        }
        ProvisionStep::StartDaemon => {
            if let Some(dir) = log.parent() {
                files::create_dir(dir)?;
            }
            docker.runner.cmd("dockerd").env("PATH", daemon_path()).detach(log)?;
            wait_for(docker, Some(log))
        }
    }
}

/// PATH with the folders of the daemon, its helpers (containerd, iptables) and administration programs, which a user's PATH may lack.
fn daemon_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// A daemon starts in one or two seconds, on a busy machine within a minute.
fn wait_for(docker: &Docker, log: Option<&Path>) -> Result<()> {
    let (pause, deadline) = (Duration::from_millis(250), Duration::from_secs(60));
    let answered =
        wait::poll(pause, deadline, &docker.runner.interrupt, || Ok(docker.answers().then_some(())))?;
    if answered.is_some() {
        return Ok(());
    }
    let output = log.and_then(|log| files::read(log).ok()).unwrap_or_default();
    bail!(
        "the engine was started but does not answer; its log ends in:\n{}",
        host::process::tail(&output, 15)
    )
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

    fn texts(steps: &[ProvisionStep]) -> Vec<String> {
        steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_bare_debian_12_gets_everything_from_the_newer_release_pinned_low() {
        let steps = plan(&Facts::default(), &bookworm()).unwrap();
        assert_eq!(
            texts(&steps)[2..],
            [
                "apt-get update",
                "apt-get install docker.io/trixie docker-cli/trixie docker-buildx/trixie docker-compose/trixie",
                "start dockerd in the background"
            ]
        );
        assert!(
            matches!(&steps[0], ProvisionStep::Write { text, .. } if text.contains("URIs: http://m.example/debian\n"))
        );
        assert!(matches!(&steps[1], ProvisionStep::Write { text, .. } if text.contains("Pin-Priority: 50")));
    }

    #[test]
    fn other_packages_come_from_the_release_itself() {
        assert_eq!(
            texts(&install(&bookworm(), &["mmdebstrap"]).unwrap()),
            ["apt-get update", "apt-get install mmdebstrap"]
        );
    }

    #[test]
    fn ubuntu_has_other_package_names() {
        let machine = Machine {
            id: "ubuntu".into(),
            version: "24.04".into(),
            is_root: true,
            has_systemd: true,
            ..Machine::default()
        };
        assert_eq!(
            texts(&plan(&Facts::default(), &machine).unwrap()),
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
        assert!(plan(&old, &bookworm()).unwrap_err().to_string().contains("upgrade it manually"));
    }

    #[test]
    fn an_installed_engine_is_only_started() {
        let machine = Machine { has_daemon: true, ..bookworm() };
        let facts = Facts { engine: None, ..complete() };
        assert_eq!(texts(&plan(&facts, &machine).unwrap()), ["start dockerd in the background"]);
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
