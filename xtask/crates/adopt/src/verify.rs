//! Verifies the plan of an adoption: Buildx resolves each build as Docker's parsers did, and every COPY source exists.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::candidates::missing;
use crate::{AdoptedService, AdoptionProblem, dockerfile};
use engine::builds::through_bake;
use engine::docker::Docker;
use engine::dockerignore::IgnoreFile;
use model::dockerfile::stages;
use model::manifest::Build;

/// What was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Builds that Buildx resolves as planned; `None` if it was not asked.
    pub equal: Option<usize>,
    /// COPY sources that exist in their context.
    pub sources: usize,
    /// COPY sources that do not exist.
    pub missing: usize,
    /// COPY sources whose variables have no known value.
    pub open: usize,
    /// What failed verification.
    pub problems: Vec<AdoptionProblem>,
}

/// Verifies the builds of these services. `state` is the folder that every run writes to, relative to the root.
///
/// # Errors
/// When Buildx fails.
pub fn verify(
    root: &Path,
    state: &str,
    services: &[AdoptedService],
    docker: Option<&Docker>,
) -> Result<Verified> {
    let mut verified = Verified::default();
    for service in services {
        verify_sources(root, service, &mut verified);
    }
    verified.problems.extend(sent_state(root, state, services));
    let Some(docker) = docker.filter(|_| !services.is_empty()) else { return Ok(verified) };
    let planned: BTreeMap<String, _> =
        services.iter().map(|service| (service.name.clone(), service.build.clone())).collect();
    let printed = through_bake(root, &planned, docker)?;
    let mut equal = 0;
    for (name, build) in &planned {
        if printed.get(name) == Some(build) {
            equal += 1;
        } else {
            let what = "Buildx resolves its build differently".to_owned();
            let remedy = "declare it under [service.NAME] in the manifest, and report this".to_owned();
            verified.problems.push(AdoptionProblem { about: name.clone(), what, remedy });
        }
    }
    verified.equal = Some(equal);
    Ok(verified)
}

/// Maximum number of builds named on one line.
const SHOWN: usize = 8;

/// Reports builds whose context includes the state folder.
fn sent_state(root: &Path, state: &str, services: &[AdoptedService]) -> Option<AdoptionProblem> {
    let is_sent = |build: &Build| {
        let context = root.join(&build.context);
        let dockerfile = build.inline.is_none().then(|| root.join(&build.dockerfile));
        // The build itself reports an unusable ignore file.
        let ignored = IgnoreFile::of(&context, dockerfile.as_deref()).unwrap_or_default();
        let path = root.join(state).strip_prefix(&context).map(Path::to_owned);
        path.is_ok_and(|path| !ignored.hides(&path.to_string_lossy(), true))
    };
    let sending: Vec<&str> = services
        .iter()
        .filter(|service| is_sent(&service.build))
        .map(|service| service.name.as_str())
        .collect();
    let about = if sending.len() > SHOWN { format!("{} builds", sending.len()) } else { sending.join(", ") };
    (!sending.is_empty()).then(|| AdoptionProblem {
        about,
        what: format!("the build context includes {state}/, which every run changes"),
        remedy: format!("add `{state}` to the context's .dockerignore"),
    })
}

fn verify_sources(root: &Path, service: &AdoptedService, verified: &mut Verified) {
    let build = &service.build;
    let mut problem = |what: String, remedy: &str| {
        let about = service.name.clone();
        verified.problems.push(AdoptionProblem { about, what, remedy: remedy.to_owned() });
    };
    let place = if build.inline.is_some() { "dockerfile_inline" } else { build.dockerfile.as_str() };
    let read = || std::fs::read_to_string(root.join(&build.dockerfile));
    let text = match build.inline.clone().map_or_else(read, Ok) {
        Ok(text) => text,
        Err(error) => return problem(format!("cannot read {place}: {error}"), "save it as UTF-8"),
    };
    if let Some(target) = &build.target
        && !stages(text.trim_start_matches('\u{feff}')).contains(&target.to_lowercase())
        && target.parse::<usize>().is_err()
    {
        problem(
            format!("{place} has no stage `{target}`"),
            "fix the target, or add `FROM … AS` with that name",
        );
    }
    let facts = dockerfile::read(&text, build.target.as_deref(), &build.args);
    let lacking = missing(root, &build.context, &build.dockerfile, &facts);
    if !lacking.is_empty() {
        let listed: Vec<String> =
            lacking.iter().map(|source| format!("{} (line {})", source.path, source.line)).collect();
        let what = format!("{place}: not in the context {}: {}", build.context, listed.join(", "));
        problem(what, "build or fetch it before the image, fix the context, or check .dockerignore");
    }
    let open = facts.sources.iter().filter(|source| source.is_open).count();
    verified.open += open;
    verified.missing += lacking.len();
    verified.sources += facts.sources.len() - open - lacking.len();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Origin;
    use host::files;

    #[test]
    fn builds_that_send_the_state_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let service = |name: &str, context: &str| AdoptedService {
            name: name.to_owned(),
            origin: Origin::Dockerfile,
            build: Build {
                context: context.to_owned(),
                dockerfile: format!("{name}/Dockerfile"),
                ..Build::default()
            },
            image: None,
            ports: Vec::new(),
            health: None,
        };
        let services = [service("api", "."), service("web", "."), service("own", "own")];
        let about = || sent_state(folder.path(), ".images", &services).map(|problem| problem.about);
        assert_eq!(about().as_deref(), Some("api, web"));
        // First an ignore file for one Dockerfile, then one for the whole context.
        files::write_atomically(&folder.path().join("web/Dockerfile.dockerignore"), b"*\n!web\n").unwrap();
        assert_eq!(about().as_deref(), Some("api"));
        files::write_atomically(&folder.path().join(".dockerignore"), b".images\n").unwrap();
        assert_eq!(about(), None);
    }
}
