//! What each service of a tree is built from, as fingerprints of its parts, according to that tree's own manifest.
//!
//! The manifest is read as plain TOML, since an older one may not be valid by today's rules. Upstream images and their
//! stand-ins are not included: their names are in the Dockerfiles, and their content in a registry is unknown.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use toml::{Table, Value};

use crate::sources;
use crate::upstreams::references;
use host::files;
use host::paths::Repository;

/// Fingerprints by the name of the part, or why there is none.
pub type Ingredients = BTreeMap<String, Result<String, String>>;

/// The ingredients of every service, by its name.
///
/// # Errors
/// When the manifest is not valid TOML.
pub fn of_tree(repository: &Repository) -> anyhow::Result<BTreeMap<String, Ingredients>> {
    let text = files::read(&repository.manifest())?;
    let manifest: Table = text.parse().with_context(|| repository.manifest_name().to_owned())?;
    let services = manifest.get("service").and_then(Value::as_table);
    let tree = Tree { repository, manifest: &manifest };
    Ok(services.into_iter().flatten().map(|(name, service)| (name.clone(), tree.service(service))).collect())
}

struct Tree<'a> {
    repository: &'a Repository,
    manifest: &'a Table,
}

impl Tree<'_> {
    fn service(&self, service: &Value) -> Ingredients {
        let mut parts = Ingredients::new();
        parts.insert("its manifest entry".to_owned(), Ok(service.to_string()));
        // Every image has these as build arguments or labels.
        for key in ["project", "version", "source-date-epoch"] {
            let value = self.manifest.get(key).map(Value::to_string);
            parts.insert(format!("the manifest's {key}"), Ok(value.unwrap_or_default()));
        }
        let text = |key: &str| service.get(key).and_then(Value::as_str);
        for path in ["original", "optimized"].into_iter().filter_map(text) {
            self.dockerfile(path, &mut parts);
        }
        // With schema 2, `dockerfile` or the one in the context.
        let context =
            text("context").map(|context| context.trim_end_matches('/')).filter(|path| *path != ".");
        let in_context = || context.map(|context| format!("{context}/Dockerfile"));
        if let Some(path) = text("dockerfile").map(str::to_owned).or_else(in_context) {
            self.dockerfile(&path, &mut parts);
        }
        parts
    }

    /// A Dockerfile with its context, and the project's own bases that it starts from.
    fn dockerfile(&self, path: &str, parts: &mut Ingredients) {
        let part = format!("{path} and its context");
        if parts.contains_key(&part) {
            return;
        }
        // Without an allow-list, git lists the changed files of the context.
        if self.is_first() || sources::has_allow_list(path, self.repository) {
            let hash = sources::hash(path, self.repository).map_err(|error| format!("{error:#}"));
            parts.insert(part, hash);
        }
        for (name, base) in self.bases(&references(self.repository, path)) {
            parts.insert(format!("the manifest entry of base {name}"), Ok(base.to_string()));
            if let Some(path) = base.get("dockerfile").and_then(Value::as_str) {
                self.dockerfile(path, parts);
            }
        }
    }

    /// Whether the manifest has schema 1, with which every Dockerfile has an allow-list.
    fn is_first(&self) -> bool {
        self.manifest.get("schema").and_then(Value::as_integer) == Some(1)
    }

    fn bases<'a>(
        &'a self,
        references: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let bases = self.manifest.get("base").and_then(Value::as_table);
        let is_named = |base: &Value| {
            base.get("image").and_then(Value::as_str).is_some_and(|image| references.contains(image))
        };
        bases.into_iter().flatten().filter(move |(_, base)| is_named(base))
    }
}
