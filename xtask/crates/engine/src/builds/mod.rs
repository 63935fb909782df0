//! The builds that a repository's own files define, as Docker's own parsers read them.

mod bake;
mod complete;
mod compose;
mod ignored;
mod naming;
mod rooted;
mod settings;
mod through_bake;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use crate::docker::Docker;
use host::failure::{Failure, FailureClass};
use model::build_settings::BuildSettings;
use model::manifest::Build;

pub use self::bake::{bake, bake_command};
pub use self::complete::{is_of, manifest};
pub use self::compose::{compose, has_default_files};
pub use self::ignored::{is_called, remove_ignored};
pub use self::naming::{GENERIC_FOLDERS, free_name, plain_name};
use self::rooted::Rooted;
pub use self::through_bake::through_bake;

/// The builds of Compose or bake files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedBuilds {
    /// The project's name according to Compose; empty for bake files.
    pub project: String,
    /// By name.
    pub builds: Vec<NamedBuild>,
    /// The builds that cannot be used.
    pub problems: Vec<BuildProblem>,
}

/// A build and the name that Compose or bake knows it by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedBuild {
    /// The service or target.
    pub name: String,
    /// The name in the manifest: lower-case letters, digits and `-` only.
    pub service: String,
    /// Which parser found it.
    pub origin: BuildOrigin,
    /// Every service or target with the same build, including `name`.
    pub sharing: Vec<String>,
    /// The build.
    pub build: Build,
    /// The reference of its image, if the files name one.
    pub image: Option<String>,
    /// The template of its image's tags, such as `{tag}-api`, where several builds share a repository.
    pub tag: Option<String>,
    /// The container's TCP ports that Compose publishes or exposes.
    pub ports: Vec<u16>,
    /// Whether Compose defines a health check.
    pub health: bool,
    /// Whether Compose replaces the image's command or entrypoint.
    pub has_own_command: bool,
    /// The profiles that start it; empty if it always starts.
    pub profiles: Vec<String>,
}

/// Which parser found a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BuildOrigin {
    /// `docker compose config`.
    #[default]
    Compose,
    /// `docker buildx bake --print`.
    Bake,
}

/// Compose or bake files that Docker rejects.
#[derive(Debug)]
pub struct RefusedFiles {
    /// The parser that rejects them.
    pub origin: BuildOrigin,
    /// Its message, with our remedy.
    pub failure: Failure,
}

/// The builds of bake files and of Compose files, named and with templates for their tags. A build that both define counts as bake's.
///
/// # Errors
/// As [`compose`] and [`bake`].
pub fn all(
    root: &Path,
    compose_files: Option<&[String]>,
    bake_files: &[String],
    docker: &Docker,
) -> Result<NamedBuilds> {
    let (found, refused) = accepted(root, compose_files, bake_files, docker)?;
    refused.into_iter().next().map_or(Ok(found), |one| Err(one.failure.into()))
}

/// Like [`all`], but also returns the files that Docker rejects.
///
/// # Errors
/// When Compose or Buildx is not installed, or its output has an unexpected format.
pub fn accepted(
    root: &Path,
    compose_files: Option<&[String]>,
    bake_files: &[String],
    docker: &Docker,
) -> Result<(NamedBuilds, Vec<RefusedFiles>)> {
    let mut refused = Vec::new();
    let of_bake = bake(root, bake_files, docker);
    let mut found = unless_refused(of_bake, BuildOrigin::Bake, &mut refused)?;
    let of_compose = compose(root, compose_files, docker);
    let of_compose = unless_refused(of_compose, BuildOrigin::Compose, &mut refused)?;
    found.project = of_compose.project;
    found.problems.extend(of_compose.problems);
    for build in of_compose.builds {
        let same = |one: &NamedBuild| {
            one.origin == BuildOrigin::Bake
                && (is_same_image(&one.build, &build.build) || one.name == build.name)
        };
        match found.builds.iter_mut().find(|one| same(one)) {
            None => found.builds.push(build),
            Some(one) => {
                // Compose knows more about the container.
                one.sharing.extend(build.sharing.into_iter().filter(|name| *name != one.name));
                one.image = one.image.take().or(build.image);
                (one.ports, one.health) = (build.ports, build.health);
            }
        }
    }
    found.builds.sort_by(|a, b| a.name.cmp(&b.name));
    naming::name_all(&mut found.builds);
    Ok((found, refused))
}

/// No builds if Docker rejects the files.
fn unless_refused(
    found: Result<NamedBuilds>,
    origin: BuildOrigin,
    refused: &mut Vec<RefusedFiles>,
) -> Result<NamedBuilds> {
    let failure = match found.map_err(anyhow::Error::downcast::<Failure>) {
        Ok(found) => return Ok(found),
        Err(Ok(failure)) if failure.class == FailureClass::Manifest => failure,
        Err(Ok(failure)) => return Err(failure.into()),
        Err(Err(error)) => return Err(error),
    };
    refused.push(RefusedFiles { origin, failure });
    Ok(NamedBuilds::default())
}

/// A build that cannot be used, or only in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildProblem {
    /// The service or target.
    pub name: String,
    /// What is wrong, with the value.
    pub what: String,
    /// How to fix it.
    pub remedy: String,
}

/// A build as the parsers print it.
#[derive(Debug, Default)]
struct RawBuild {
    context: String,
    dockerfile: String,
    target: Option<String>,
    args: BTreeMap<String, Option<String>>,
    platforms: Vec<String>,
    contexts: BTreeMap<String, String>,
    inline: Option<String>,
    settings: BuildSettings,
}

/// The build relative to the root; `Err` says what is wrong and how to fix it.
fn rooted(raw: RawBuild, root: &Rooted) -> Result<Build, (String, String)> {
    let inside = "move it into the repository, or leave it out";
    if is_remote(&raw.context) {
        let what = format!("its context is remote: {}", raw.context);
        return Err((what, "declare a copy in the repository as its context".to_owned()));
    }
    let outside = |what: &str, path: &Path| {
        (format!("its {what} is outside of the repository: {}", path.display()), inside.to_owned())
    };
    let folder = root.absolute(&raw.context);
    let context = root.relative(&folder).ok_or_else(|| outside("context", &folder))?;
    if !folder.is_dir() {
        let remedy = "create it, fix its path, or run `git submodule update --init`";
        return Err((format!("its context does not exist: {context}"), remedy.to_owned()));
    }
    let path = folder.join(&raw.dockerfile);
    let dockerfile = root.relative(&path).ok_or_else(|| outside("Dockerfile", &path))?;
    if raw.inline.is_none() && !path.is_file() {
        let what = format!("its Dockerfile does not exist: {dockerfile}");
        let remedy = "create it, fix its path, or run `git submodule update --init`";
        return Err((what, remedy.to_owned()));
    }
    let mut contexts = BTreeMap::new();
    for (name, value) in raw.contexts {
        let value = match value.strip_prefix("service:") {
            Some(service) => format!("target:{service}"),
            None if value.starts_with("target:") || is_remote(&value) => value,
            None => {
                let folder = root.absolute(&value);
                root.relative(&folder).ok_or_else(|| outside("named context", &folder))?
            }
        };
        contexts.insert(name, value);
    }
    Ok(Build {
        context,
        dockerfile: if raw.inline.is_some() { String::new() } else { dockerfile },
        target: raw.target.filter(|target| !target.is_empty()),
        args: raw.args.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
        platforms: raw.platforms,
        contexts,
        inline: raw.inline,
        settings: raw.settings,
    })
}

/// Whether two builds make the same image from the same files, maybe with other arguments.
fn is_same_image(one: &Build, other: &Build) -> bool {
    let parts = |build: &Build| {
        (build.context.clone(), build.dockerfile.clone(), build.target.clone(), build.inline.clone())
    };
    parts(one) == parts(other)
}

/// Whether BuildKit fetches a context instead of reading a folder ("docker buildx build", "Build context").
fn is_remote(context: &str) -> bool {
    context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/")
}

/// Merges the entries whose builds are equal; [`rank`] decides which of them gives the name.
fn united(found: Vec<NamedBuild>) -> Vec<NamedBuild> {
    let mut groups: Vec<Vec<NamedBuild>> = Vec::new();
    for one in found {
        match groups.iter_mut().find(|group| group.iter().any(|other| other.build == one.build)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let mut out: Vec<NamedBuild> = groups.into_iter().filter_map(merged).collect();
    let leaders: BTreeMap<String, String> = out
        .iter()
        .flat_map(|one| {
            one.sharing.iter().map(|name| (format!("target:{name}"), format!("target:{}", one.name)))
        })
        .collect();
    for context in out.iter_mut().flat_map(|one| one.build.contexts.values_mut()) {
        if let Some(leader) = leaders.get(context) {
            leader.clone_into(context);
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    out
}

/// Ranks names for an image that several services share, best first: the image's name, the folder's name, the start of the image's name,
/// then a service that publishes a port, runs the image's own command, or names an image.
fn rank(one: &NamedBuild) -> [bool; 6] {
    let image = one.image.as_deref().map(model::image_ref::name_of);
    let folder = one.build.context.rsplit('/').next();
    let rest = image.and_then(|image| image.strip_prefix(one.name.as_str()));
    [
        image != Some(&one.name),
        folder != Some(&one.name),
        !rest.is_some_and(|rest| rest.starts_with(['-', '_'])),
        one.ports.is_empty(),
        one.has_own_command,
        one.image.is_none(),
    ]
}

fn merged(group: Vec<NamedBuild>) -> Option<NamedBuild> {
    let mut leader = group.iter().min_by_key(|one| rank(one))?.clone();
    let [other_image, other_folder, other_start, ..] = rank(&leader);
    let is_only_one = |is: &dyn Fn(&NamedBuild) -> bool| group.iter().filter(|one| is(one)).count() == 1;
    let stands_out = is_only_one(&|one| !one.ports.is_empty()) || is_only_one(&|one| !one.has_own_command);
    if group.len() > 1 && other_image && other_folder && other_start && !stands_out {
        // All names rank equally.
        leader.service = naming::shared_name(&leader);
    }
    leader.sharing = group.iter().map(|one| one.name.clone()).collect();
    leader.ports = group.iter().flat_map(|one| one.ports.clone()).collect();
    leader.ports.dedup();
    leader.health = group.iter().any(|one| one.health);
    let always = group.iter().any(|one| one.profiles.is_empty());
    leader.profiles = if always { Vec::new() } else { leader.profiles };
    Some(leader)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, image: Option<&str>, context: &str) -> NamedBuild {
        let build = Build { context: context.to_owned(), ..Build::default() };
        NamedBuild { name: name.to_owned(), image: image.map(str::to_owned), build, ..NamedBuild::default() }
    }

    #[test]
    fn equal_builds_are_one() {
        let mut found = vec![
            named("api", Some("x/web:1"), "web"),
            named("web", Some("x/web:1"), "web"),
            named("worker", None, "web"),
            named("db", None, "db"),
        ];
        found[3].build.contexts.insert("code".to_owned(), "target:worker".to_owned());
        let found = united(found);
        let short: Vec<(&str, String)> =
            found.iter().map(|one| (one.name.as_str(), one.sharing.join(" "))).collect();
        assert_eq!(short, [("db", "db".to_owned()), ("web", "api web worker".to_owned())]);
        assert_eq!(found[0].build.contexts["code"], "target:web");
    }

    #[test]
    fn the_name_of_a_shared_build_is_not_arbitrary() {
        let leader = |names: &[&str], change: &dyn Fn(&mut NamedBuild)| {
            let mut group: Vec<NamedBuild> =
                names.iter().map(|name| named(name, Some("x/shop-local"), "src/shop")).collect();
            group.iter_mut().for_each(change);
            let found = united(group).remove(0);
            if found.service.is_empty() { found.name } else { found.service }
        };
        let with_commands = |one: &mut NamedBuild| one.has_own_command = one.name != "web";
        assert_eq!(leader(&["cron", "web", "worker"], &with_commands), "web");
        assert_eq!(leader(&["cron", "shop", "web"], &with_commands), "shop");
        assert_eq!(leader(&["cron", "shop", "shop-local"], &with_commands), "shop-local");
        let with_port = |one: &mut NamedBuild| {
            one.has_own_command = true;
            one.ports = if one.name == "web" { vec![80] } else { Vec::new() };
        };
        assert_eq!(leader(&["cron", "web", "worker"], &with_port), "web");
        assert_eq!(leader(&["cron", "worker"], &with_port), "shop");
        let alike = |one: &mut NamedBuild| one.image = Some("x/app-dev".to_owned());
        assert_eq!(leader(&["app", "app-worker", "cron"], &alike), "app");
        assert_eq!(leader(&["only"], &with_port), "only");
        let shared = |context: &str| {
            let group = ["cron", "worker"].map(|name| named(name, Some("x/shop-local:1"), context));
            united(group.into()).remove(0).service
        };
        assert_eq!((shared("src/shop").as_str(), shared(".").as_str()), ("shop", "shop-local"));
    }

    #[test]
    fn remote_contexts_are_recognized() {
        for remote in
            ["https://example.com/a.git#main", "git@example.com:a/b", "github.com/a/b", "docker-image://a"]
        {
            assert!(is_remote(remote), "{remote}");
        }
        for folder in [".", "/a/github.com", "a.git", "git/x"] {
            assert!(!is_remote(folder), "{folder}");
        }
    }
}
