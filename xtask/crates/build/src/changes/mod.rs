//! Which services have changed sources since a commit: the commit is extracted into a temporary folder, both trees are read
//! the same way, and the differences are listed.

pub mod between;
pub mod commit;
mod ingredients;
mod inputs;

use std::collections::BTreeSet;

use anyhow::Result;

use crate::changes::ingredients::{BUILD_ELSEWHERE, IS_CONTEXT, Ingredients, of_tree};
use crate::changes::inputs::Inputs;
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
    /// What differs: Dockerfiles with their contexts, declarations, files.
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
    let commit = commit::resolve("--changed-since", reference, context)?;
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
        let inputs = Inputs::of(service, &Variant::ALL, manifest, &context.repository);
        for other in inputs.services() {
            let parts = now.get(other).map(|now| difference(then.get(other), now)).unwrap_or_default();
            what.extend(parts.into_iter().map(|part| format!("{other}: {part}")));
        }
        what.extend(shortened(files.iter().filter(|file| inputs.contains(file)).cloned().collect()));
        (!what.is_empty()).then(|| Change { service: name.clone(), what })
    };
    Ok(Changes { commit, services: manifest.services.iter().filter_map(changed).collect() })
}

/// The names of the services whose builds can read a file, relative to the repository.
pub fn readers(file: &str, manifest: &Manifest, repository: &Repository) -> Vec<String> {
    let reads = |service: &&Service| Inputs::of(service, &Variant::ALL, manifest, repository).reads(file);
    manifest.services.iter().filter(reads).map(|service| service.name.clone()).collect()
}

/// Whether a build that the manifest does not declare may be in this file, or depend on it.
fn may_define_builds(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    name.starts_with(".env") || name.ends_with(".hcl") || name.contains("compose") || name.contains("bake")
}

/// The first few names, and the number of the others.
fn shortened(mut files: Vec<String>) -> Vec<String> {
    let more = files.len().saturating_sub(NAMED);
    files.truncate(NAMED);
    files.extend((more > 0).then(|| format!("{more} more files")));
    files
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
