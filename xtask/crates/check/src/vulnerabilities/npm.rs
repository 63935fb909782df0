//! The npm registry's advisories, in bulk, as npm audit asks for them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Deserialize;

use crate::fetch::{Answer, Fetcher};
use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::component::Component;
use crate::vulnerabilities::severity::Severity;
use crate::vulnerabilities::source::{SourceName, SourceState};

#[derive(Deserialize)]
struct Entry {
    url: String,
    title: String,
    severity: String,
    vulnerable_versions: String,
}

/// Asks about packages. The registry answers by package, not by version, so each request holds one version of a package.
///
/// # Errors
/// When this machine is at fault, or the user interrupts.
pub(super) fn ask(
    url: &str,
    components: &[&Component],
    fetcher: &Fetcher<'_>,
) -> Result<(Vec<Advisory>, SourceState)> {
    let mut found = Vec::new();
    for round in rounds(components) {
        let body: BTreeMap<&str, [&str; 1]> =
            round.iter().map(|one| (one.name.as_str(), [one.version.as_str()])).collect();
        let answer = fetcher.post(url, &serde_json::to_string(&body)?)?;
        let parsed = match answer {
            Answer::Found(bytes) => serde_json::from_slice::<BTreeMap<String, Vec<Entry>>>(&bytes)
                .map_err(|_| "the answer is not npm's JSON".to_owned()),
            Answer::Status(why) | Answer::Failed(why) => Err(why),
        };
        match parsed {
            Ok(entries) => found.extend(round.iter().flat_map(|one| advisories(one, &entries))),
            Err(why) => return Ok((Vec::new(), SourceState::Unavailable { why })),
        }
    }
    Ok((found, SourceState::Answered { age_days: None }))
}

/// Splits components so that no round has two versions of a package.
fn rounds<'c>(components: &[&'c Component]) -> Vec<Vec<&'c Component>> {
    let mut rounds: Vec<Vec<&Component>> = Vec::new();
    for component in components {
        let has = |round: &&mut Vec<&Component>| round.iter().all(|other| other.name != component.name);
        match rounds.iter_mut().find(has) {
            Some(round) => round.push(component),
            None => rounds.push(vec![component]),
        }
    }
    rounds
}

fn advisories(component: &Component, entries: &BTreeMap<String, Vec<Entry>>) -> Vec<Advisory> {
    let of_component = entries.get(&component.name).into_iter().flatten();
    of_component
        .map(|entry| Advisory {
            component: component.clone(),
            id: entry.url.rsplit('/').next().unwrap_or(&entry.url).to_owned(),
            aliases: Vec::new(),
            severity: Severity::of_rating(&entry.severity),
            fixed_in: fix(&entry.vulnerable_versions).into_iter().collect(),
            summary: entry.title.clone(),
            source: SourceName::Npm,
        })
        .collect()
}

/// The version that ends a range such as `>=1.0.0 <1.2.3`; of one such as `<=1.2.3`, that it is a later one.
fn fix(vulnerable: &str) -> Option<String> {
    let (_, end) = vulnerable.rsplit_once('<')?;
    let (words, version) = end.strip_prefix('=').map_or(("", end), |last| ("after ", last));
    let is_version = version.starts_with(|first: char| first.is_ascii_digit()) && !version.contains(' ');
    is_version.then(|| format!("{words}{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulnerabilities::component::Ecosystem;

    fn package(name: &str, version: &str) -> Component {
        let (name, version) = (name.to_owned(), version.to_owned());
        Component { ecosystem: Ecosystem::Npm, release: None, name, version, binaries: Vec::new() }
    }

    #[test]
    fn a_round_has_one_version_of_a_package() {
        let all = [package("a", "1"), package("a", "2"), package("b", "1"), package("a", "3")];
        let rounds = rounds(&all.iter().collect::<Vec<_>>());
        let sizes: Vec<usize> = rounds.iter().map(Vec::len).collect();
        assert_eq!(sizes, [2, 1, 1]);
    }

    #[test]
    fn the_end_of_a_range_is_the_fix() {
        for (range, expected) in [
            ("<4.17.21", Some("4.17.21")),
            (">=1.0.0 <1.2.3", Some("1.2.3")),
            ("<1.0.0 || >=2.0.0 <2.0.4", Some("2.0.4")),
            ("<=4.0.0", Some("after 4.0.0")),
            (">=1.0.0 <=1.2.3", Some("after 1.2.3")),
            ("<=1.0.0 || =2.0.0", None),
            (">=1.0.0", None),
            ("*", None),
            ("<1.0.0 || =2.0.0", None),
        ] {
            assert_eq!(fix(range).as_deref(), expected, "{range}");
        }
    }

    #[test]
    fn entries_become_advisories() {
        let json = r#"{"a": [{"id": 1, "url": "https://github.com/advisories/GHSA-x", "title": "T",
            "severity": "moderate", "vulnerable_versions": "<2", "cwe": [], "cvss": {"score": 5}}]}"#;
        let entries = serde_json::from_str(json).unwrap();
        let found = advisories(&package("a", "1"), &entries);
        assert_eq!((found[0].id.as_str(), found[0].severity), ("GHSA-x", Severity::Medium));
        assert_eq!(advisories(&package("b", "1"), &entries), []);
    }
}
