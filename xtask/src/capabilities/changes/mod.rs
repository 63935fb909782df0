//! Which services are made from other sources than at a commit: the commit is laid out in a folder of its own, both trees are
//! read by the same function, and what differs is named.

mod commit;
mod ingredients;

use std::collections::BTreeSet;

use anyhow::Result;

pub use self::commit::NoCommit;
use self::ingredients::{Ingredients, of_tree};
use super::context::Context;
use crate::domain::manifest::{Manifest, Service};
use crate::system::paths::Repository;

/// What became of the services since a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The commit, in full.
    pub commit: String,
    /// The services that are made from something else now, in the manifest's order.
    pub services: Vec<Change>,
}

/// One service that is made from something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub service: String,
    /// What differs: Dockerfiles with their contexts, declarations.
    pub what: Vec<String>,
}

impl Changes {
    /// The services themselves.
    pub fn of<'m>(&self, manifest: &'m Manifest) -> Vec<&'m Service> {
        let changed = |service: &&Service| self.services.iter().any(|change| change.service == service.name);
        manifest.services.iter().filter(changed).collect()
    }
}

/// Compares the working tree, with what git does not know of, to a commit.
///
/// # Errors
/// [`NoCommit`]; a tree that cannot be laid out or read.
pub fn since(reference: &str, manifest: &Manifest, context: &Context) -> Result<Changes> {
    let commit = commit::resolve(reference, context)?;
    let folder = commit::lay_out(&commit, context)?;
    let now = of_tree(&context.repository)?;
    // A commit from before there was a manifest: all is new.
    let then = match Repository::locate(Some(folder.path())) {
        Ok(repository) => of_tree(&repository).unwrap_or_default(),
        Err(_) => Default::default(),
    };
    let names = manifest.services.iter().map(|service| &service.name);
    let changed = |name: &String| {
        let what = difference(then.get(name), now.get(name)?);
        (!what.is_empty()).then(|| Change { service: name.clone(), what })
    };
    Ok(Changes { commit, services: names.filter_map(changed).collect() })
}

/// What is not the same in both. What could not be read is never the same: a build too many does no harm.
fn difference(then: Option<&Ingredients>, now: &Ingredients) -> Vec<String> {
    let Some(then) = then else { return vec!["it is new".to_owned()] };
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let is_same = |name: &String| {
        let (then, now) = (then.get(name).and_then(Option::as_ref), now.get(name).and_then(Option::as_ref));
        then.is_some() && then == now
    };
    names.into_iter().filter(|name| !is_same(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients(of: &[(&str, Option<&str>)]) -> Ingredients {
        of.iter().map(|(name, hash)| ((*name).to_owned(), hash.map(str::to_owned))).collect()
    }

    #[test]
    fn what_came_went_or_is_another_differs_and_so_does_what_nobody_can_read() {
        let then = ingredients(&[("a", Some("1")), ("b", Some("2")), ("went", Some("3")), ("dark", None)]);
        let now = ingredients(&[("a", Some("1")), ("b", Some("4")), ("came", Some("5")), ("dark", None)]);
        assert_eq!(difference(Some(&then), &now), ["b", "came", "dark", "went"]);
        let clear = ingredients(&[("a", Some("1"))]);
        assert_eq!(difference(Some(&clear), &clear), Vec::<String>::new());
        assert_eq!(difference(None, &clear), ["it is new"]);
    }
}
