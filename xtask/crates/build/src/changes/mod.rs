//! Which services have changed sources since a commit: the commit is extracted into a temporary folder, both trees are read
//! the same way, and the differences are listed.

mod commit;
mod ingredients;

use std::collections::BTreeSet;

use anyhow::Result;

use crate::changes::ingredients::{BUILD_ELSEWHERE, Ingredients, of_tree};
use crate::sources;
use engine::context::Context;
use host::paths::Repository;
use model::manifest::{Manifest, Service};
use model::variant::Variant;

/// How many changed files a reason names.
const NAMED: usize = 3;

/// The services that changed since a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The full commit hash.
    pub commit: String,
    /// The changed services, in the manifest's order.
    pub services: Vec<Change>,
}

/// One changed service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The service's name.
    pub service: String,
    /// What differs: Dockerfiles with their contexts, declarations.
    pub what: Vec<String>,
}

impl Changes {
    /// The changed services' declarations.
    pub fn of<'m>(&self, manifest: &'m Manifest) -> Vec<&'m Service> {
        let changed = |service: &&Service| self.services.iter().any(|change| change.service == service.name);
        manifest.services.iter().filter(changed).collect()
    }
}

/// Compares the working tree, untracked files included, with a commit.
///
/// # Errors
/// When the commit is unknown, or a tree cannot be extracted or read.
pub fn since(reference: &str, manifest: &Manifest, context: &Context) -> Result<Changes> {
    let commit = commit::resolve(reference, context)?;
    let folder = context.git().unpack(&commit)?;
    let now = of_tree(&context.repository)?;
    // Before the first manifest, every service is new.
    let then = match Repository::locate(Some(folder.path())) {
        Ok(repository) => of_tree(&repository).unwrap_or_default(),
        Err(_) => Default::default(),
    };
    // With schema 1, every Dockerfile has an allow-list.
    let files = if manifest.schema == 1 { Vec::new() } else { context.git().changed_since(&commit)? };
    let changed = |service: &Service| {
        let name = &service.name;
        let parts = now.get(name);
        let mut what = parts.map(|now| difference(then.get(name), now)).unwrap_or_default();
        if parts.is_none_or(|parts| parts.contains_key(BUILD_ELSEWHERE)) {
            what.extend(files.iter().filter(|file| may_define_builds(file)).cloned());
        }
        what.extend(in_contexts(service, &files, &context.repository));
        (!what.is_empty()).then(|| Change { service: name.clone(), what })
    };
    Ok(Changes { commit, services: manifest.services.iter().filter_map(changed).collect() })
}

/// Whether a build that the manifest does not declare may be in this file, or depend on it.
fn may_define_builds(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.starts_with(".env") || name.ends_with(".hcl") || name.contains("compose") || name.contains("bake")
}

/// Changed files of contexts that have no allow-list: every file there counts, except what git ignores.
fn in_contexts(service: &Service, files: &[String], repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for build in Variant::ALL.into_iter().filter_map(|variant| service.build(variant)) {
        if build.context == "." && build.file().is_some_and(|file| sources::has_allow_list(file, repository))
        {
            continue;
        }
        let folders = std::iter::once(&build.context).chain(build.contexts.values());
        let folders: Vec<&str> = folders.map(|folder| folder.trim_end_matches('/')).collect();
        let is_below = |file: &str, folder: &str| {
            folder == "."
                || file.strip_prefix(folder).is_some_and(|rest| {
                    // A submodule is listed as its folder.
                    rest.is_empty() || rest.starts_with('/')
                })
        };
        let is_needed = |file: &&String| {
            build.file() == Some(file.as_str()) || folders.iter().any(|folder| is_below(file, folder))
        };
        let new: Vec<String> =
            files.iter().filter(is_needed).filter(|file| !found.contains(*file)).cloned().collect();
        found.extend(new);
    }
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    found.extend((more > 0).then(|| format!("{more} more files")));
    found
}

/// The parts that differ. Unreadable parts always differ: an unneeded build does no harm.
fn difference(then: Option<&Ingredients>, now: &Ingredients) -> Vec<String> {
    let Some(then) = then else { return vec!["new service".to_owned()] };
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let different = |name: &String| match (then.get(name), now.get(name)) {
        (_, Some(Err(why))) => Some(format!("{name} (cannot be compared: {why})")),
        (Some(Ok(then)), Some(Ok(now))) if then == now => None,
        _ => Some(name.clone()),
    };
    names.into_iter().filter_map(different).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients(of: &[(&str, Result<&str, &str>)]) -> Ingredients {
        let owned = |part: Result<&str, &str>| part.map(str::to_owned).map_err(str::to_owned);
        of.iter().map(|(name, part)| ((*name).to_owned(), owned(*part))).collect()
    }

    #[test]
    fn added_removed_changed_and_unreadable_parts_differ() {
        let then = ingredients(&[("a", Ok("1")), ("b", Ok("2")), ("went", Ok("3")), ("dark", Err("x"))]);
        let now = ingredients(&[("a", Ok("1")), ("b", Ok("4")), ("came", Ok("5")), ("dark", Err("x"))]);
        let parts = difference(Some(&then), &now);
        assert_eq!(parts, ["b", "came", "dark (cannot be compared: x)", "went"]);
        // A part that has become readable counts as changed.
        assert_eq!(difference(Some(&then), &ingredients(&[("dark", Ok("1"))])), ["a", "b", "dark", "went"]);
        let clear = ingredients(&[("a", Ok("1"))]);
        assert_eq!(difference(Some(&clear), &clear), Vec::<String>::new());
        assert_eq!(difference(None, &clear), ["new service"]);
    }
}
