//! What machine this is, as far as installing an engine goes.

use std::path::{Path, PathBuf};

use anyhow::Result;

use host::files;
use host::process::{Runner, find};

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
        let sources = apt_sources()?;
        // A machine may follow the release by its name or by its standing.
        let suites = [machine.codename.as_str(), "stable", "oldstable"];
        machine.mirror =
            suites.iter().find_map(|suite| sources.iter().find_map(|text| mirror_in(text, suite)));
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

/// The texts of apt's sources (sources.list(5)), read from the files: apt itself answers only once it has its lists.
fn apt_sources() -> Result<Vec<String>> {
    let mut paths = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = std::fs::read_dir("/etc/apt/sources.list.d") {
        paths.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    paths.sort();
    let is_source =
        |path: &PathBuf| path.extension().is_some_and(|ending| ending == "list" || ending == "sources");
    paths
        .iter()
        .filter(|path| is_source(path))
        .filter_map(|path| files::read_if_there(path).transpose())
        .collect()
}

/// Where a text of apt's sources takes a release from: a line `deb [OPTIONS] URI SUITE …`, or a stanza with `URIs:` and
/// `Suites:`.
pub fn mirror_in(text: &str, codename: &str) -> Option<String> {
    let line = text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let rest = rest
            .strip_prefix('[')
            .map_or(Some(rest), |options| options.split_once(']').map(|(_, rest)| rest))?;
        let mut words = rest.split_whitespace();
        let uri = words.next()?;
        (words.next() == Some(codename)).then(|| uri.to_owned())
    });
    line.or_else(|| text.split("\n\n").find_map(|stanza| mirror_in_stanza(stanza, codename)))
}

fn mirror_in_stanza(stanza: &str, codename: &str) -> Option<String> {
    let value = |key: &str| {
        let lines = stanza.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, rest)| rest.trim())
    };
    let enabled = value("Enabled").is_none_or(|value| !value.eq_ignore_ascii_case("no"));
    let has_suite = value("Suites")?.split_whitespace().any(|suite| suite == codename);
    (enabled && has_suite).then(|| value("URIs")?.split_whitespace().next().map(str::to_owned))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sources_name_the_mirror() {
        let stanzas = "# a comment\nTypes: deb\nURIs: http://s.example/debian-security\nSuites: bookworm-security\n\n\
                       Types: deb\n# http://old.example\nURIs: http://m.example/debian\nSuites: bookworm bookworm-updates\n";
        assert_eq!(mirror_in(stanzas, "bookworm").as_deref(), Some("http://m.example/debian"));
        let lines = "# deb http://no.example bookworm main\ndeb http://s.example bookworm-security main\n\
                     deb [arch=amd64 signed-by=/k] http://m.example bookworm main\n";
        assert_eq!(mirror_in(lines, "bookworm").as_deref(), Some("http://m.example"));
        assert_eq!(mirror_in("Enabled: no\nURIs: http://m.example\nSuites: bookworm\n", "bookworm"), None);
        assert_eq!(mirror_in("", "bookworm"), None);
    }
}
