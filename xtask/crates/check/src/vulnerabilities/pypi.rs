//! PyPI's advisories, one distribution at a time, in the JSON API that pip-audit reads (Warehouse's documentation, "JSON
//! API", "Known vulnerabilities").

use anyhow::Result;
use serde::Deserialize;

use crate::fetch::{Answer, Fetcher};
use crate::vulnerabilities::advisory::Advisory;
use crate::vulnerabilities::component::Component;
use crate::vulnerabilities::severity::Severity;
use crate::vulnerabilities::source::{SourceName, SourceState};

#[derive(Deserialize)]
struct Project {
    info: Info,
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Info {
    version: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    fixed_in: Vec<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
}

/// Asks about each distribution's version; where the index does not serve that, about its newest.
///
/// # Errors
/// When this machine is at fault, or the user interrupts.
pub(super) fn ask(
    base: &str,
    components: &[&Component],
    fetcher: &Fetcher<'_>,
) -> Result<(Vec<Advisory>, SourceState)> {
    let name = |component: &Component| component.name.to_lowercase().replace(['_', '.'], "-");
    let exact = |component: &&Component| format!("{base}/{}/{}/json", name(component), component.version);
    let mut answers = fetcher.all(&components.iter().map(exact).collect::<Vec<_>>())?;
    let missing: Vec<usize> =
        (0..answers.len()).filter(|&index| matches!(answers[index], Answer::Status(_))).collect();
    if !missing.is_empty() {
        let urls = missing.iter().map(|&index| format!("{base}/{}/json", name(components[index])));
        let newest = fetcher.all(&urls.collect::<Vec<_>>())?;
        for (index, answer) in missing.into_iter().zip(newest) {
            answers[index] = answer;
        }
    }
    let (mut found, mut silent) = (Vec::new(), Vec::new());
    for (component, answer) in components.iter().zip(answers) {
        match advisories(component, answer) {
            Ok(advisories) => found.extend(advisories),
            Err(why) => silent.push((component.label(), why)),
        }
    }
    Ok((found, state(&silent, components.len())))
}

fn state(silent: &[(String, String)], asked: usize) -> SourceState {
    let Some((first, why)) = silent.first() else { return SourceState::Answered { age_days: None } };
    if silent.len() == asked && silent.iter().all(|(_, other)| other == why) {
        return SourceState::Unavailable { why: why.clone() };
    }
    SourceState::Partial { unanswered: silent.len(), why: format!("{first}: {why}") }
}

fn advisories(component: &Component, answer: Answer) -> Result<Vec<Advisory>, String> {
    let bytes = match answer {
        Answer::Found(bytes) => bytes,
        Answer::Status(why) | Answer::Failed(why) => return Err(why),
    };
    let project: Project =
        serde_json::from_slice(&bytes).map_err(|_| "the answer is not PyPI's JSON".to_owned())?;
    if project.info.version != component.version {
        return Err(format!("the index answers about {} only", project.info.version));
    }
    let known = project.vulnerabilities.into_iter().filter(|one| one.withdrawn.is_none());
    Ok(known
        .map(|one| Advisory {
            component: component.clone(),
            id: one.id,
            aliases: one.aliases,
            severity: Severity::Unknown,
            fixed_in: one.fixed_in,
            summary: first_line(one.summary.as_deref().or(one.details.as_deref()).unwrap_or_default()),
            source: SourceName::Pypi,
        })
        .collect())
}

fn first_line(text: &str) -> String {
    text.trim().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vulnerabilities::component::Ecosystem;

    fn jinja(version: &str) -> Component {
        let (name, version) = ("Jinja2".to_owned(), version.to_owned());
        Component { ecosystem: Ecosystem::Python, release: None, name, version, binaries: Vec::new() }
    }

    const ANSWER: &str = r#"{"info": {"name": "Jinja2", "version": "3.1.5"}, "vulnerabilities": [
        {"id": "GHSA-1", "aliases": ["CVE-2025-27516"], "fixed_in": ["3.1.6"], "summary": "Sandbox breakout", "withdrawn": null},
        {"id": "GHSA-2", "details": "First line\nsecond", "withdrawn": "2025-01-01T00:00:00Z"}]}"#;

    #[test]
    fn an_answer_counts_for_its_version_only() {
        let found = advisories(&jinja("3.1.5"), Answer::Found(ANSWER.into())).unwrap();
        assert_eq!(found.len(), 1, "a withdrawn one counts");
        assert_eq!((found[0].id.as_str(), found[0].fixed_in[0].as_str()), ("GHSA-1", "3.1.6"));
        let other = advisories(&jinja("3.1.4"), Answer::Found(ANSWER.into()));
        assert_eq!(other.unwrap_err(), "the index answers about 3.1.5 only");
        let html = advisories(&jinja("3.1.5"), Answer::Found(b"<html>".to_vec()));
        assert_eq!(html.unwrap_err(), "the answer is not PyPI's JSON");
        let without = r#"{"info": {"version": "3.1.5"}}"#;
        assert!(advisories(&jinja("3.1.5"), Answer::Found(without.into())).is_err(), "no field is no answer");
    }

    #[test]
    fn silence_is_never_an_answer() {
        let silent = |names: &[&str]| -> Vec<(String, String)> {
            names.iter().map(|name| ((*name).to_owned(), "HTTP status 404".to_owned())).collect()
        };
        assert_eq!(state(&[], 2), SourceState::Answered { age_days: None });
        assert_eq!(state(&silent(&["a"]), 1), SourceState::Unavailable { why: "HTTP status 404".into() });
        let partial = SourceState::Partial { unanswered: 1, why: "a: HTTP status 404".into() };
        assert_eq!(state(&silent(&["a"]), 2), partial);
    }
}
