//! Which services are made from other sources than at a commit: the commit is laid out in a folder of its own, both trees are
//! read by the same function, and what differs is named.

pub mod commit;
pub mod ingredients;

use std::collections::BTreeSet;

use anyhow::Result;

use crate::changes::ingredients::{Ingredients, of_tree};
use engine::context::Context;
use host::paths::Repository;
use model::manifest::{Manifest, Service};

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
    let folder = context.git().unpack(&commit)?;
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

/// What is not the same in both. What cannot be read is never the same: a build too many does no harm.
fn difference(then: Option<&Ingredients>, now: &Ingredients) -> Vec<String> {
    let Some(then) = then else { return vec!["it is new".to_owned()] };
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let told = |name: &String| match (then.get(name), now.get(name)) {
        (_, Some(Err(why))) => Some(format!("{name} (cannot be compared: {why})")),
        (Some(Ok(then)), Some(Ok(now))) if then == now => None,
        _ => Some(name.clone()),
    };
    names.into_iter().filter_map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingredients(of: &[(&str, Result<&str, &str>)]) -> Ingredients {
        let owned = |part: Result<&str, &str>| part.map(str::to_owned).map_err(str::to_owned);
        of.iter().map(|(name, part)| ((*name).to_owned(), owned(*part))).collect()
    }

    #[test]
    fn what_came_went_or_is_another_differs_and_so_does_what_nobody_can_read() {
        let then = ingredients(&[("a", Ok("1")), ("b", Ok("2")), ("went", Ok("3")), ("dark", Err("x"))]);
        let now = ingredients(&[("a", Ok("1")), ("b", Ok("4")), ("came", Ok("5")), ("dark", Err("x"))]);
        let told = difference(Some(&then), &now);
        assert_eq!(told, ["b", "came", "dark (cannot be compared: x)", "went"]);
        // What can be read again has changed as well.
        assert_eq!(difference(Some(&then), &ingredients(&[("dark", Ok("1"))])), ["a", "b", "dark", "went"]);
        let clear = ingredients(&[("a", Ok("1"))]);
        assert_eq!(difference(Some(&clear), &clear), Vec::<String>::new());
        assert_eq!(difference(None, &clear), ["it is new"]);
    }
}
