//! What machine this is, as far as installing an engine goes.

use std::path::Path;

use anyhow::Result;

use crate::system::files;
use crate::system::process::{Runner, find};

/// What the machine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `ID` of os-release: `debian`.
    pub id: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: String,
    /// `VERSION_ID`: `12`.
    pub version: String,
    /// Whether this process may install packages.
    pub is_root: bool,
    /// Whether systemd runs services here.
    pub has_systemd: bool,
    /// Whether the daemon's program is there.
    pub has_daemon: bool,
    /// Where packages of this release come from, as apt is configured.
    pub mirror: Option<String>,
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    /// When it cannot be told what it is.
    pub fn detect(runner: &Runner) -> Result<Machine> {
        let text = files::read_if_there(Path::new("/etc/os-release"))?.unwrap_or_default();
        let mut machine = Machine::from_os_release(&text);
        machine.is_root = runner.cmd("id").arg("-u").read()? == "0";
        machine.has_systemd = Path::new("/run/systemd/system").is_dir();
        machine.has_daemon = find("dockerd").is_some() || Path::new("/usr/sbin/dockerd").is_file();
        if find("apt-get").is_some() {
            let targets =
                runner.cmd("apt-get").args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)"]).read()?;
            machine.mirror = mirror_of(&targets, &machine.codename);
        }
        Ok(machine)
    }

    /// From the text of os-release alone.
    pub fn from_os_release(text: &str) -> Machine {
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.unwrap_or_default().trim_matches('"').to_owned()
        };
        Machine {
            id: value("ID"),
            codename: value("VERSION_CODENAME"),
            version: value("VERSION_ID"),
            ..Machine::default()
        }
    }
}

/// The repository that apt is configured to take a release from, out of `apt-get indextargets`.
pub fn mirror_of(targets: &str, codename: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let (uri, release) = line.trim().rsplit_once(' ')?;
        (release == codename).then(|| uri.to_owned())
    })
}
