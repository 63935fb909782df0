//! Whether what editions require is used by the service's sources, and is the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::checklist::asked::Asked;
use crate::checklist::newest;
use crate::checklist::newest::{Registry, State};
use crate::checklist::report::{Answer, Fault};
use check::report::Subject;
use host::files;
use model::manifest::Service;

/// A Python distribution as its metadata in an image has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Distribution {
    name: String,
    version: String,
    /// The top-level modules that it brings.
    modules: Vec<String>,
    /// Names of what it requires.
    requires: Vec<String>,
}

/// Asks an image's own interpreter, which knows where its packages are.
const ASK: &str = include_str!("distributions.py");

pub(super) fn requirements(asked: &Asked<'_>) -> Result<Answer> {
    let (mut faults, mut evidence) = (Vec::new(), Vec::new());
    let Some(&edition) = asked.wanted.editions.iter().max() else { return Ok(Answer::now(faults, evidence)) };
    for service in &asked.manifest.services {
        let declared = service.editions.packages(edition);
        if declared.is_empty() {
            continue;
        }
        let reference = asked.reference(service, edition);
        if !asked.images()?.contains_key(&reference) {
            faults.extend(asked.not_built(&[service], edition));
            continue;
        }
        let about = Subject::list(&[Subject::new(&service.name, edition)]);
        let held = distributions(asked, &reference)?;
        let unused = unused(&declared, &held, &sources(asked, service)?);
        for name in &unused {
            let remedy = format!(
                "take it out of the requirements beside {} and out of [service.{}.editions] in images.toml",
                service.optimized, service.name
            );
            faults.push(Fault::new(
                format!("{about}: nothing imports {name}, and nothing used requires it"),
                remedy,
            ));
        }
        let versions = declared.iter().filter_map(|name| {
            held.iter().find(|held| is_same(&held.name, name)).map(|held| (*name, held.version.as_str()))
        });
        let answers = match newest::ask(asked, Registry::Python, versions) {
            Ok(answers) => answers,
            // What is unused is told even where nobody can tell what is newest.
            Err(error) if !faults.is_empty() => {
                evidence.push(format!("{about}: nobody can tell what is newest: {error:#}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        for answer in &answers {
            if let State::Newer(newest) = &answer.state {
                let what = format!("{about}: {} {} → {newest}", answer.name, answer.used);
                faults.push(Fault::new(what, "raise it in the requirements' locks and build anew"));
            }
        }
        let current = answers.iter().filter(|answer| answer.state == State::Current).count();
        evidence.push(format!(
            "{about}: {} required, {} used, {current} of {} the newest",
            declared.len(),
            declared.len() - unused.len(),
            answers.len()
        ));
    }
    if evidence.is_empty() && faults.is_empty() {
        evidence.push(format!("no service requires packages for an edition up to {edition}"));
    }
    Ok(Answer::now(faults, evidence))
}

/// What an image holds.
fn distributions(asked: &Asked<'_>, image: &str) -> Result<Vec<Distribution>> {
    let confined = [
        "run",
        "--rm",
        "--pull=never",
        "--network=none",
        "--read-only",
        "--cap-drop=ALL",
        "--entrypoint=python",
    ];
    let text = asked.context.docker.cmd(confined).args([image, "-c", ASK]).read();
    let text = text.with_context(|| format!("cannot ask {image} for its Python distributions"))?;
    serde_json::from_str(&text).with_context(|| format!("{image} gave no list of distributions"))
}

/// The texts of a service's own modules: what git tracks in packages beside its Dockerfile, without tests.
fn sources(asked: &Asked<'_>, service: &Service) -> Result<Vec<String>> {
    let repository = &asked.context.repository;
    let folder = Path::new(&service.optimized).parent().unwrap_or(Path::new("")).display().to_string();
    // git takes no empty path.
    let tracked = asked.context.git().tracked(if folder.is_empty() { "." } else { &folder })?;
    let folder_of =
        |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default();
    let packages: BTreeSet<String> =
        tracked.iter().filter(|path| path.ends_with("/__init__.py")).map(|path| folder_of(path)).collect();
    let is_own = |path: &&String| {
        path.ends_with(".py")
            && packages.contains(&folder_of(path))
            && !path.split('/').any(|part| part == "tests")
    };
    let files = tracked.iter().filter(is_own).filter_map(|path| repository.file(path));
    files.map(|path| files::read(&path)).collect()
}

/// Declared packages that no source imports, and that nothing which is imported requires, however indirectly.
fn unused<'d>(declared: &BTreeSet<&'d str>, held: &[Distribution], sources: &[String]) -> Vec<&'d str> {
    let by_name: BTreeMap<String, &Distribution> = held.iter().map(|one| (normal(&one.name), one)).collect();
    let imports =
        |one: &Distribution| one.modules.iter().any(|module| sources.iter().any(|text| names(text, module)));
    let mut used: BTreeSet<String> =
        by_name.iter().filter(|(_, one)| imports(one)).map(|(name, _)| name.clone()).collect();
    let mut queue: Vec<String> = used.iter().cloned().collect();
    while let Some(name) = queue.pop() {
        let requires = by_name.get(&name).map(|one| one.requires.as_slice()).unwrap_or_default();
        for required in requires.iter().map(|name| normal(name)) {
            if used.insert(required.clone()) {
                queue.push(required);
            }
        }
    }
    declared.iter().filter(|name| !used.contains(&normal(name))).copied().collect()
}

/// Whether a source imports a module: by a statement, or by a text in quotes as `importlib` takes it.
fn names(source: &str, module: &str) -> bool {
    let is_it = |text: &str| text.strip_prefix(module).is_some_and(|rest| !rest.starts_with(is_word));
    let imported = |line: &str| {
        let line = line.trim_start();
        let of = |rest: &str| rest.split(',').any(|part| is_it(part.trim_start()));
        line.strip_prefix("import ").is_some_and(of) || line.strip_prefix("from ").is_some_and(is_it)
    };
    let quoted = |quote: char| {
        source.split(quote).skip(1).any(|part| is_it(part) && !part.contains(char::is_whitespace))
    };
    source.lines().any(imported) || quoted('"') || quoted('\'')
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_same(one: &str, other: &str) -> bool {
    normal(one) == normal(other)
}

/// A distribution's name in its normal form (Python packaging specification, "Names and normalization").
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, modules: &[&str], requires: &[&str]) -> Distribution {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Distribution {
            name: name.into(),
            version: "1".into(),
            modules: owned(modules),
            requires: owned(requires),
        }
    }

    #[test]
    fn what_an_imported_package_requires_is_used_and_what_only_an_unused_one_does_is_not() {
        let held = [
            one("scikit_learn", &["sklearn"], &["joblib", "numpy"]),
            one("joblib", &["joblib"], &[]),
            one("numpy", &["numpy"], &[]),
            one("idle", &["idle"], &["idle-helper"]),
            one("idle-helper", &["idle_helper"], &[]),
        ];
        let declared = BTreeSet::from(["scikit-learn", "joblib", "numpy", "idle", "idle-helper", "absent"]);
        let sources = ["metrics = load(\"sklearn.metrics\")\n".to_owned()];
        assert_eq!(unused(&declared, &held, &sources), ["absent", "idle", "idle-helper"]);
    }

    #[test]
    fn an_import_is_told_from_a_word_that_begins_alike() {
        for source in
            ["import numpy", "  import os, numpy as np", "from numpy.linalg import norm", "load('numpy')"]
        {
            assert!(names(source, "numpy"), "{source}");
        }
        for source in [
            "import numpyro",
            "from numpy_x import a",
            "# numpy",
            "say(\"numpy is not here\")",
            "load(\"numpyro\")",
        ] {
            assert!(!names(source, "numpy"), "{source}");
        }
    }

    #[test]
    fn names_of_distributions_are_compared_in_their_normal_form() {
        assert!(is_same("Scikit_Learn", "scikit-learn") && is_same("a.b__c", "A-b-C"));
        assert!(!is_same("numpy", "num-py"));
    }
}
