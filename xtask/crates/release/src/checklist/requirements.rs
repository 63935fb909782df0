//! Whether the Python packages that editions require are used by the service's sources, and up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::checklist::context::CheckContext;
use crate::checklist::newest::{self, PackageRegistry, VersionState};
use crate::checklist::report::{ItemAnswer, ItemFault};
use check::report::Subject;
use host::files;
use model::edition::Edition;
use model::manifest::Service;

/// An installed Python distribution (core metadata specification).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Distribution {
    name: String,
    version: String,
    /// Top-level modules.
    modules: Vec<String>,
    /// Names of required distributions.
    requires: Vec<String>,
}

/// Runs in the image's own interpreter, which knows where its packages are.
const LIST_DISTRIBUTIONS: &str = include_str!("distributions.py");

pub(super) fn requirements(checks: &CheckContext<'_>) -> Result<ItemAnswer> {
    let mut answer = ItemAnswer::now(Vec::new(), Vec::new());
    let Some(&edition) = checks.request.editions.last() else { return Ok(answer) };
    for service in checks.manifest.services_in(edition) {
        let declared = service.editions.packages(edition);
        if declared.is_empty() {
            continue;
        }
        if checks.images()?.contains_key(&checks.reference(service, edition)) {
            check_service(checks, service, edition, &declared, &mut answer)?;
        } else {
            answer.faults.push(checks.missing_fault(&[service], edition));
        }
    }
    if answer.evidence.is_empty() && answer.faults.is_empty() {
        answer.evidence.push(format!("no service requires packages up to edition {edition}"));
    }
    Ok(answer)
}

fn check_service(
    checks: &CheckContext<'_>,
    service: &Service,
    edition: Edition,
    declared: &BTreeSet<&str>,
    answer: &mut ItemAnswer,
) -> Result<()> {
    let about = Subject::list(&[Subject::new(&service.name, edition)]);
    let held = distributions(checks, &checks.reference(service, edition))?;
    let unused = unused(declared, &held, &sources(checks, service)?);
    for name in &unused {
        let remedy = format!(
            "remove it from the requirements next to {} and from [service.{}.editions] in images.toml",
            service.dockerfile(service.shipped()).unwrap_or("its Dockerfile"),
            service.name
        );
        answer.faults.push(ItemFault::new(format!("{about}: unused package: {name}"), remedy));
    }
    let versions = declared.iter().filter_map(|name| {
        held.iter().find(|held| is_same(&held.name, name)).map(|held| (*name, held.version.as_str()))
    });
    let versions = match newest::ask(checks, PackageRegistry::Python, versions) {
        Ok(versions) => versions,
        // Unused packages are reported even where the registry does not answer.
        Err(error) if !answer.faults.is_empty() => {
            answer.evidence.push(format!("{about}: newest versions unknown: {error:#}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for version in &versions {
        if let VersionState::Newer(newest) = &version.state {
            let what = format!("{about}: {} {} → {newest}", version.name, version.used);
            answer.faults.push(ItemFault::new(what, "update the locked requirements and rebuild"));
        }
    }
    let current = versions.iter().filter(|version| version.state == VersionState::Current).count();
    answer.evidence.push(format!(
        "{about}: {} required, {} used, {current} of {} up to date",
        declared.len(),
        declared.len() - unused.len(),
        versions.len()
    ));
    Ok(())
}

fn distributions(checks: &CheckContext<'_>, image: &str) -> Result<Vec<Distribution>> {
    let mut args = vec!["run", "--rm", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL"];
    args.extend(["--entrypoint=python", image, "-c", LIST_DISTRIBUTIONS]);
    let text = checks.context.docker.cmd(args).read();
    let text = text.with_context(|| format!("cannot list the Python distributions of {image}"))?;
    serde_json::from_str(&text).with_context(|| format!("invalid list of Python distributions from {image}"))
}

/// The sources of a service's own modules: tracked packages next to its Dockerfile, without tests.
fn sources(checks: &CheckContext<'_>, service: &Service) -> Result<Vec<String>> {
    let repository = &checks.context.repository;
    let folder = Path::new(service.dockerfile(service.shipped()).unwrap_or_default())
        .parent()
        .unwrap_or(Path::new(""))
        .display()
        .to_string();
    // Git takes no empty path.
    let tracked = checks.context.git().tracked(if folder.is_empty() { "." } else { &folder })?;
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

/// Declared packages that the sources import neither directly nor through a dependency.
fn unused<'d>(declared: &BTreeSet<&'d str>, held: &[Distribution], sources: &[String]) -> Vec<&'d str> {
    let by_name: BTreeMap<String, &Distribution> = held.iter().map(|one| (normal(&one.name), one)).collect();
    let imports = |one: &Distribution| {
        one.modules.iter().any(|module| sources.iter().any(|text| imports_module(text, module)))
    };
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

/// Whether a source imports a module: by a statement, or by a quoted name as `importlib` takes it.
fn imports_module(source: &str, module: &str) -> bool {
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
    fn dependencies_of_imported_packages_are_used() {
        let held = [
            one("Scikit_Learn", &["sklearn"], &["joblib", "numpy"]),
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
    fn imports_match_whole_module_names() {
        for source in
            ["import numpy", "  import os, numpy as np", "from numpy.linalg import norm", "load('numpy')"]
        {
            assert!(imports_module(source, "numpy"), "{source}");
        }
        for source in [
            "import numpyro",
            "from numpy_x import a",
            "# numpy",
            "say(\"numpy is not here\")",
            "load(\"numpyro\")",
        ] {
            assert!(!imports_module(source, "numpy"), "{source}");
        }
    }
}
