//! What installing an engine depends on: distribution, privileges, systemd, apt sources.

use std::path::{Path, PathBuf};

use anyhow::Result;

use host::files;
use host::process::{Runner, find};

/// This machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `ID` of os-release: `debian`.
    pub id: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub codename: String,
    /// `VERSION_ID`: `12`.
    pub version: String,
    /// Whether this process is root and can install packages.
    pub is_root: bool,
    /// Whether systemd runs.
    pub has_systemd: bool,
    /// Whether dockerd is installed.
    pub has_daemon: bool,
    /// The mirror of this release in apt's configuration.
    pub mirror: Option<String>,
}

impl Machine {
    /// Detects this machine.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn detect(runner: &Runner) -> Result<Machine> {
        let text = files::read_if_there(Path::new("/etc/os-release"))?.unwrap_or_default();
        let mut machine = Machine::from_os_release(&text);
        machine.is_root = runner.cmd("id").arg("-u").read()? == "0";
        machine.has_systemd = Path::new("/run/systemd/system").is_dir();
        machine.has_daemon = find("dockerd").is_some() || Path::new("/usr/sbin/dockerd").is_file();
        let sources = apt_sources()?;
        // Sources may use the codename or the suite.
        let suites = [machine.codename.as_str(), "stable", "oldstable"];
        machine.mirror =
            suites.iter().find_map(|suite| sources.iter().find_map(|text| mirror_in(text, suite)));
        Ok(machine)
    }

    /// From os-release(5) only.
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

/// The files of apt's sources (sources.list(5)); apt itself prints them only after an update.
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

/// The mirror of a suite in apt's sources: a line `deb [OPTIONS] URI SUITE …`, or a stanza with `URIs:` and `Suites:`.
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
    fn the_mirror_is_found_in_both_source_formats() {
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
