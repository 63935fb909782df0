//! Debian's archive: which packages have a newer version, and the CVEs in the changelog since the version in the image. A
//! build asks, so that apt verifies the archive's signatures.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::component::Component;
use crate::vulnerabilities::severity::Severity;
use crate::vulnerabilities::source::{SourceName, SourceState};
use build::newest;
use engine::context::Context;
use host::failure::{FailureClass, class_of};
use model::manifest::Manifest;

/// The stage that asks.
const STAGE: &str = "debian-fixes";

/// Asks the archive about packages.
///
/// # Errors
/// When the user interrupts.
pub(super) fn ask(
    manifest: &Manifest,
    components: &[&Component],
    context: &Context,
) -> Result<(Vec<Advisory>, SourceState)> {
    let dockerfile = context.repository.newest_dockerfile();
    if !context.repository.file(dockerfile).is_some_and(|file| file.is_file()) {
        return Ok((Vec::new(), SourceState::Unavailable { why: format!("{dockerfile} is missing") }));
    }
    let questions = questions(components);
    match newest::ask(manifest, STAGE, &questions, context).and_then(|text| parse(&text)) {
        Ok(archive) => Ok(archive.about(components, questions.len())),
        Err(error) if class_of(&error) == FailureClass::Interrupted => Err(error),
        Err(error) => {
            let text = error.root_cause().to_string();
            let why = text.lines().next().unwrap_or_default().to_owned();
            Ok((Vec::new(), SourceState::Unavailable { why }))
        }
    }
}

/// `NAME=VERSION=SOURCE_VERSION` of each binary package, once.
fn questions(components: &[&Component]) -> Vec<String> {
    let of = |component: &&Component| {
        let source = component.version.clone();
        let question = move |(name, version): &(String, String)| format!("{name}={version}={source}");
        component.binaries.iter().map(question).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = components.iter().flat_map(of).collect();
    all.into_iter().collect()
}

/// What the archive says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Archive {
    /// Its release.
    release: String,
    /// Newer packages by name and used version: the newest version and the CVEs that it fixes.
    newer: BTreeMap<(String, String), (String, Vec<String>)>,
    /// Packages that it answered about.
    answered: usize,
}

/// Parses `release NAME`, then one package per line: `STATE NAME USED NEWEST CVES`.
fn parse(text: &str) -> Result<Archive> {
    let mut archive = Archive::default();
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["release", name] => archive.release = (*name).to_owned(),
            ["current" | "gone", ..] => archive.answered += 1,
            ["newer", name, used, newest, cves] => {
                archive.answered += 1;
                let cves = cves.split(',').filter(|cve| cve.starts_with("CVE-")).map(str::to_owned);
                let fixed = ((*newest).to_owned(), cves.collect());
                archive.newer.insert(((*name).to_owned(), (*used).to_owned()), fixed);
            }
            _ => bail!("invalid line in the archive's answer: `{line}`"),
        }
    }
    Ok(archive)
}

impl Archive {
    fn about(&self, components: &[&Component], asked: usize) -> (Vec<Advisory>, SourceState) {
        let is_ours = |component: &&Component| component.release.as_deref() == Some(&self.release);
        let (ours, others): (Vec<&Component>, Vec<&Component>) =
            components.iter().copied().partition(is_ours);
        let found = ours.iter().flat_map(|component| self.advisories(component)).collect();
        let state = match (others.first(), self.answered == asked) {
            (Some(other), _) => SourceState::Partial {
                unanswered: others.len(),
                why: format!("{} is not of Debian {}", other.label(), self.release),
            },
            (None, false) => {
                let why = format!("incomplete answer: {} of {asked} packages", self.answered);
                SourceState::Unavailable { why }
            }
            (None, true) => SourceState::Answered { age_days: Some(0) },
        };
        (found, state)
    }

    /// One advisory for each CVE that a newer version of a component's packages fixes.
    fn advisories(&self, component: &Component) -> Vec<Advisory> {
        let mut fixes: BTreeMap<&str, &str> = BTreeMap::new();
        for binary in &component.binaries {
            if let Some((newest, cves)) = self.newer.get(binary) {
                fixes.extend(cves.iter().map(|cve| (cve.as_str(), newest.as_str())));
            }
        }
        let advisory = |(cve, newest): (&str, &str)| Advisory {
            component: component.clone(),
            id: cve.to_owned(),
            aliases: Vec::new(),
            severity: Severity::Unknown,
            fixed_in: vec![newest.to_owned()],
            summary: String::new(),
            source: SourceName::DebianArchive,
        };
        fixes.into_iter().map(advisory).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulnerabilities::component::Ecosystem;

    fn python(release: &str) -> Component {
        Component {
            ecosystem: Ecosystem::Debian,
            release: Some(release.into()),
            name: "python3.13".into(),
            version: "3.13.5-2".into(),
            binaries: vec![
                ("libpython3.13".into(), "3.13.5-2".into()),
                ("python3.13".into(), "3.13.5-2+b1".into()),
            ],
        }
    }

    #[test]
    fn every_binary_package_is_asked_about() {
        let expected = ["libpython3.13=3.13.5-2=3.13.5-2", "python3.13=3.13.5-2+b1=3.13.5-2"];
        assert_eq!(questions(&[&python("trixie"), &python("trixie")]), expected);
    }

    #[test]
    fn fixes_of_all_binary_packages_count_once() {
        let text = "release trixie\nnewer libpython3.13 3.13.5-2 3.13.5-2+deb13u1 CVE-2025-1,CVE-2025-2\n\
                    newer python3.13 3.13.5-2+b1 3.13.5-2+deb13u1 CVE-2025-2,-\n";
        let (found, state) = parse(text).unwrap().about(&[&python("trixie")], 2);
        let rows: Vec<_> = found.iter().map(|one| (one.id.as_str(), one.fixed_in[0].as_str())).collect();
        assert_eq!(rows, [("CVE-2025-1", "3.13.5-2+deb13u1"), ("CVE-2025-2", "3.13.5-2+deb13u1")]);
        assert_eq!(state, SourceState::Answered { age_days: Some(0) });
    }

    #[test]
    fn another_release_and_missing_lines_are_gaps() {
        let archive = parse("release trixie\ncurrent libpython3.13 3.13.5-2 3.13.5-2 -\n").unwrap();
        let (_, state) = archive.about(&[&python("trixie")], 2);
        assert_eq!(state, SourceState::Unavailable { why: "incomplete answer: 1 of 2 packages".into() });
        let (found, state) = archive.about(&[&python("bookworm")], 2);
        assert!(found.is_empty() && matches!(state, SourceState::Partial { unanswered: 1, .. }), "{state:?}");
        assert!(parse("E: no network").is_err());
    }
}
