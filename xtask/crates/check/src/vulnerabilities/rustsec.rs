//! The RustSec advisory database: `crates/NAME/RUSTSEC-….md`, each with TOML in a code block in front of the text.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use semver::{Comparator, Op, Version, VersionReq};
use serde::Deserialize;

use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::component::Component;
use crate::vulnerabilities::severity::Severity;
use crate::vulnerabilities::source::SourceName;
use host::files;
use model::nesting;

/// The database's files by crate.
#[derive(Debug, Default)]
pub(super) struct Database {
    texts: BTreeMap<String, Vec<String>>,
    /// When it was last changed, if known.
    pub(super) changed: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Header {
    advisory: About,
    versions: Versions,
}

#[derive(Deserialize)]
struct About {
    id: String,
    package: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    cvss: Option<String>,
    #[serde(default)]
    informational: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
}

#[derive(Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

impl Database {
    /// From an archive of the repository (`.tar.gz`).
    ///
    /// # Errors
    /// When it is not one.
    pub(super) fn of_archive(bytes: &[u8]) -> Result<Database> {
        let mut database = Database::default();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
        for entry in archive.entries().context("not a .tar.gz archive")? {
            let mut entry = entry.context("not a .tar.gz archive")?;
            let path = entry.path()?.to_string_lossy().into_owned();
            // Below a folder with the commit's name.
            let Some(name) = path.split_once("/crates/").and_then(|(_, rest)| crate_of(rest)) else {
                continue;
            };
            // `git archive` writes the time of the commit.
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(entry.header().mtime()?);
            database.changed = database.changed.max(Some(changed));
            let (name, mut text) = (name.to_owned(), String::new());
            entry.read_to_string(&mut text).with_context(|| path.clone())?;
            database.texts.entry(name).or_default().push(text);
        }
        database.checked()
    }

    /// From a checkout.
    ///
    /// # Errors
    /// When it cannot be read, or is something else.
    pub(super) fn of_folder(folder: &Path) -> Result<Database> {
        let mut database = Database::default();
        let crates = folder.join("crates");
        for entry in
            std::fs::read_dir(&crates).with_context(|| format!("cannot read {}", crates.display()))?
        {
            let path = entry?.path();
            let Ok(advisories) = std::fs::read_dir(&path) else { continue };
            for file in advisories {
                let file = file?.path();
                let relative = file.strip_prefix(&crates).unwrap_or(&file).display().to_string();
                if let Some(name) = crate_of(&relative) {
                    database.texts.entry(name.to_owned()).or_default().push(files::read(&file)?);
                }
            }
        }
        database.checked()
    }

    fn checked(self) -> Result<Database> {
        ensure!(!self.texts.is_empty(), "no advisories (crates/NAME/RUSTSEC-….md) in it");
        // Files of a checkout have the time of the checkout. There are new advisories every week.
        let newest = || self.texts.values().flatten().filter_map(|text| date(text)).max();
        Ok(Database { changed: self.changed.or_else(newest), ..self })
    }

    /// The advisories about components.
    ///
    /// # Errors
    /// An advisory that cannot be parsed.
    pub(super) fn find(&self, components: &[&Component]) -> Result<Vec<Advisory>> {
        let mut found = Vec::new();
        for component in components {
            for text in self.texts.get(&component.name).into_iter().flatten() {
                found.extend(advisory(component, text)?);
            }
        }
        Ok(found)
    }
}

/// The date of an advisory.
fn date(text: &str) -> Option<SystemTime> {
    let line = text.lines().find_map(|line| line.strip_prefix("date = \""))?;
    humantime::parse_rfc3339(&format!("{}T00:00:00Z", line.split('"').next()?)).ok()
}

/// The crate of `NAME/RUSTSEC-….md`.
fn crate_of(path: &str) -> Option<&str> {
    let (name, file) = path.split_once('/')?;
    (file.starts_with("RUSTSEC-") && file.ends_with(".md")).then_some(name)
}

/// The advisory of a file, if it is about this version.
fn advisory(component: &Component, text: &str) -> Result<Option<Advisory>> {
    let parts = text.strip_prefix("```toml").and_then(|rest| rest.split_once("\n```"));
    let (header, body) = parts.with_context(|| format!("no TOML in an advisory about {}", component.name))?;
    ensure!(nesting::too_deep(header).is_none(), "an advisory about {} is nested too deeply", component.name);
    let header: Header = toml::from_str(header)
        .with_context(|| format!("invalid TOML in an advisory about {}", component.name))?;
    let Header { advisory: about, versions } = header;
    let Ok(version) = component.version.parse::<Version>() else { return Ok(None) };
    let is_any = |list: &[VersionReq]| list.iter().any(|requirement| requirement.matches(&version));
    let applies = about.withdrawn.is_none()
        && about.package == component.name
        && !is_any(&versions.patched)
        && !is_any(&versions.unaffected);
    if !applies {
        return Ok(None);
    }
    let severity = match (&about.informational, &about.cvss) {
        (Some(_), _) => Severity::Info,
        (None, Some(vector)) => Severity::of_vector(vector),
        (None, None) => Severity::Unknown,
    };
    let title = body.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
    Ok(Some(Advisory {
        component: component.clone(),
        id: about.id,
        aliases: about.aliases,
        severity,
        fixed_in: fixes(&versions.patched, &version),
        summary: title.trim().to_owned(),
        source: SourceName::Rustsec,
    }))
}

/// The first fixed versions after a version, lowest first.
fn fixes(patched: &[VersionReq], version: &Version) -> Vec<String> {
    let mut found: Vec<Version> = patched
        .iter()
        .filter_map(|requirement| requirement.comparators.iter().find_map(lowest))
        .filter(|lowest| lowest > version)
        .collect();
    found.sort();
    found.dedup();
    found.iter().map(ToString::to_string).collect()
}

/// The lowest version that a comparator admits.
fn lowest(comparator: &Comparator) -> Option<Version> {
    let Comparator { op, major, minor, patch, pre } = comparator;
    let (minor, patch) = (minor.unwrap_or(0), patch.unwrap_or(0));
    let version = Version { pre: pre.clone(), ..Version::new(*major, minor, patch) };
    match op {
        Op::Exact | Op::GreaterEq | Op::Tilde | Op::Caret | Op::Wildcard => Some(version),
        Op::Greater => Some(Version::new(*major, minor, patch + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulnerabilities::component::Ecosystem;

    const TOKIO: &str = "```toml\n[advisory]\nid = \"RUSTSEC-2021-0072\"\npackage = \"tokio\"\naliases = [\"CVE-2021-38191\"]\n\n\
        [affected]\nfunctions = { \"tokio::x\" = [\"<= 1.8.0\"] }\n\n[versions]\n\
        patched = [\">= 1.5.1, < 1.6.0\", \">= 1.6.3, < 1.7.0\", \">= 1.8.1\"]\nunaffected = [\"< 0.3.0\"]\n```\n\n\
        # Task dropped in wrong thread\n\nText.\n";

    fn tokio(version: &str) -> Component {
        let (name, version) = ("tokio".to_owned(), version.to_owned());
        Component { ecosystem: Ecosystem::Crates, release: None, name, version, binaries: Vec::new() }
    }

    fn found(version: &str, text: &str) -> Option<Advisory> {
        advisory(&tokio(version), text).unwrap()
    }

    #[test]
    fn patched_and_unaffected_versions_are_not_listed() {
        for (version, fixes) in [
            ("1.5.0", Some(vec!["1.5.1", "1.6.3", "1.8.1"])),
            ("1.6.2", Some(vec!["1.6.3", "1.8.1"])),
            ("1.8.0", Some(vec!["1.8.1"])),
            ("1.5.2", None),
            ("1.8.1", None),
            ("2.0.0", None),
            ("0.2.9", None),
            ("not a version", None),
        ] {
            let advisory = found(version, TOKIO);
            let fixed_in = advisory.as_ref().map(|advisory| advisory.fixed_in.clone());
            assert_eq!(
                fixed_in,
                fixes.map(|list| list.into_iter().map(str::to_owned).collect()),
                "{version}"
            );
        }
        let advisory = found("1.8.0", TOKIO).unwrap();
        assert_eq!(advisory.summary, "Task dropped in wrong thread");
        assert_eq!((advisory.severity, advisory.aliases[0].as_str()), (Severity::Unknown, "CVE-2021-38191"));
    }

    #[test]
    fn ratings_remarks_and_withdrawals() {
        let with = |line: &str| TOKIO.replace("\naliases", &format!("\n{line}\naliases"));
        let rated = found("1.8.0", &with("cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\""));
        assert_eq!(rated.unwrap().severity, Severity::Critical);
        let remark = found("1.8.0", &with("informational = \"unmaintained\""));
        assert_eq!(remark.unwrap().severity, Severity::Info);
        assert_eq!(found("1.8.0", &with("withdrawn = \"2021-08-01\"")), None);
    }

    #[test]
    fn broken_advisories_are_errors() {
        for text in ["", "# Text", "```toml\n[advisory]\n```\n", "```toml\n[advisory\n```\n"] {
            assert!(advisory(&tokio("1.0.0"), text).is_err(), "{text}");
        }
        assert!(Database::of_archive(b"<html>").is_err());
    }

    #[test]
    fn a_checkout_is_as_old_as_its_newest_advisory() {
        let folder = tempfile::tempdir().unwrap();
        for (number, date) in [("0072", "2021-07-07"), ("0124", "2021-11-16")] {
            let file = folder.path().join(format!("crates/tokio/RUSTSEC-2021-{number}.md"));
            let text = TOKIO.replace("\naliases", &format!("\ndate = \"{date}\"\naliases"));
            files::write_atomically(&file, text.as_bytes()).unwrap();
        }
        let database = Database::of_folder(folder.path()).unwrap();
        assert_eq!(database.changed, Some(humantime::parse_rfc3339("2021-11-16T00:00:00Z").unwrap()));
        assert_eq!(database.find(&[&tokio("1.8.0")]).unwrap().len(), 2);
        assert!(Database::of_folder(&folder.path().join("crates")).is_err());
    }

    #[test]
    fn an_archive_tells_its_age() {
        let mut builder =
            tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (path, time) in
            [("main/crates/tokio/RUSTSEC-2021-0072.md", 86_400), ("main/README.md", 999_999_999)]
        {
            let mut header = tar::Header::new_gnu();
            header.set_size(TOKIO.len() as u64);
            header.set_mtime(time);
            builder.append_data(&mut header, path, TOKIO.as_bytes()).unwrap();
        }
        let bytes = builder.into_inner().unwrap().finish().unwrap();
        let database = Database::of_archive(&bytes).unwrap();
        assert_eq!(database.changed, Some(SystemTime::UNIX_EPOCH + Duration::from_hours(24)));
        assert_eq!(database.find(&[&tokio("1.8.0")]).unwrap().len(), 1);
        assert!(Database::of_archive(&bytes[..bytes.len() / 2]).is_err());
    }
}
