//! Builds of Compose and bake files that the manifest leaves out.

use std::collections::BTreeMap;

use super::{NamedBuild, NamedBuilds, plain_name};
use host::failure::{Failure, FailureClass};
use model::manifest::Build;
use model::names::Unknown;

/// Removes the builds and problems of these services or targets, and returns the builds by the names that contexts then have. A build
/// that others share stays theirs. `manifest` is the file's name.
///
/// # Errors
/// [`Failure`] of class manifest, when no build has a name.
pub fn remove_ignored(
    names: &[String],
    found: &mut NamedBuilds,
    manifest: &str,
) -> Result<BTreeMap<String, Build>, Failure> {
    let is_ignored = |name: &String| names.iter().any(|given| is_called(name, given));
    let of_builds = found.builds.iter().flat_map(|build| &build.sharing);
    let known: Vec<&String> = of_builds.chain(found.problems.iter().map(|problem| &problem.name)).collect();
    if let Some(given) = names.iter().find(|given| !known.iter().any(|name| is_called(name, given))) {
        let unknown = Unknown::new("build", given, known.into_iter().cloned());
        let what = format!("{manifest}: ignore: {unknown}");
        return Err(Failure::new(FailureClass::Manifest, what, "correct the name, or remove it"));
    }
    found.problems.retain(|problem| !is_ignored(&problem.name));
    for build in &mut found.builds {
        build.sharing.retain(|name| !is_ignored(name));
    }
    let is_used = |build: &NamedBuild| !build.sharing.is_empty();
    let plain: BTreeMap<String, String> = found
        .builds
        .iter()
        .filter(|build| !is_used(build))
        .map(|build| (format!("target:{}", build.name), format!("target:{}", build.service)))
        .collect();
    for context in found.builds.iter_mut().flat_map(|build| build.build.contexts.values_mut()) {
        if let Some(plain) = plain.get(context) {
            plain.clone_into(context);
        }
    }
    let (used, ignored): (Vec<_>, Vec<_>) = std::mem::take(&mut found.builds).into_iter().partition(is_used);
    found.builds = used;
    Ok(ignored.into_iter().map(|build| (build.service, build.build)).collect())
}

/// Whether `given` in the manifest's `ignore` refers to the build `name`.
pub fn is_called(name: &str, given: &str) -> bool {
    given == name || given == plain_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builds::BuildProblem;

    fn found() -> NamedBuilds {
        let build = |name: &str, sharing: &[&str]| NamedBuild {
            name: name.to_owned(),
            service: plain_name(name),
            sharing: sharing.iter().map(|name| (*name).to_owned()).collect(),
            ..NamedBuild::default()
        };
        let problem = BuildProblem { name: "gone".to_owned(), what: String::new(), remedy: String::new() };
        let mut builds = vec![build("Dev.Tools", &["Dev.Tools"]), build("web", &["web", "worker"])];
        builds[1].build.contexts.insert("tools".to_owned(), "target:Dev.Tools".to_owned());
        NamedBuilds { builds, problems: vec![problem], ..NamedBuilds::default() }
    }

    fn without(names: &[&str]) -> (Vec<String>, NamedBuilds) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut found = found();
        let ignored = remove_ignored(&names, &mut found, "images.toml").unwrap();
        (ignored.into_keys().collect(), found)
    }

    #[test]
    fn builds_and_problems_are_removed_by_either_name() {
        for name in ["Dev.Tools", "dev-tools"] {
            let (ignored, left) = without(&[name, "gone"]);
            assert_eq!(ignored, ["dev-tools"]);
            assert_eq!(left.builds[0].build.contexts["tools"], "target:dev-tools");
            assert_eq!((left.builds.len(), left.problems.len()), (1, 0));
        }
        let (ignored, left) = without(&["worker"]);
        assert_eq!((ignored.len(), left.builds[1].sharing.join(" ")), (0, "web".to_owned()));
        assert_eq!(without(&["worker", "web"]).0, ["web"]);
    }

    #[test]
    fn a_name_that_no_build_has_is_refused() {
        let failure = remove_ignored(&["worke".to_owned()], &mut found(), "images.toml").unwrap_err();
        assert!(
            failure.what.starts_with("images.toml: ignore: unknown build `worke`; did you mean `worker`?"),
            "{failure}"
        );
    }
}
