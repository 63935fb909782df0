//! What each service of a tree is built from, as fingerprints of its parts, according to that tree's own manifest.
//!
//! The manifest is read leniently, since an older one may not be valid by today's rules, and compared as plain TOML. Upstream images
//! and their stand-ins are not included: their names are in the Dockerfiles, and their content in a registry is unknown.

use std::collections::BTreeMap;

use anyhow::Context as _;
use toml::{Table, Value};

use crate::sources;
use crate::upstreams::references;
use host::files;
use host::paths::Repository;
use model::manifest::{Manifest, Service};
use model::reader;
use model::variant::Variant;

/// Fingerprints by the name of the part, or why there is none.
pub type Ingredients = BTreeMap<String, Result<String, String>>;

/// The part of a service whose build the manifest does not declare.
pub const BUILD_ELSEWHERE: &str = "its build, which is in a Compose or bake file";

/// The ingredients of every service, by its name.
///
/// # Errors
/// When the manifest is not valid TOML.
pub fn of_tree(repository: &Repository) -> anyhow::Result<BTreeMap<String, Ingredients>> {
    let text = files::read(&repository.manifest())?;
    let manifest: Table = text.parse().with_context(|| repository.manifest_name().to_owned())?;
    let declared = reader::parse_leniently(&text, repository).unwrap_or_default();
    let tree = Tree { repository, manifest: &manifest, declared: &declared };
    Ok(declared.services.iter().map(|service| (service.name.clone(), tree.service(service))).collect())
}

/// The suffix of parts that stand for a Dockerfile and its context.
pub const IS_CONTEXT: &str = " and its context";

struct Tree<'a> {
    repository: &'a Repository,
    manifest: &'a Table,
    declared: &'a Manifest,
}

impl Tree<'_> {
    fn service(&self, service: &Service) -> Ingredients {
        let mut parts = Ingredients::new();
        parts.insert("its manifest entry".to_owned(), Ok(self.entry("service", &service.name)));
        // Every image has these as build arguments, labels or tags.
        for key in ["project", "version", "source-date-epoch", "editions", "defaults"] {
            let value = self.manifest.get(key).map(Value::to_string);
            parts.insert(format!("the manifest's {key}"), Ok(value.unwrap_or_default()));
        }
        if service.original.is_none() && service.pulled.is_none() {
            parts.insert(BUILD_ELSEWHERE.to_owned(), Ok(String::new()));
        }
        for build in Variant::ALL.into_iter().filter_map(|variant| service.build(variant)) {
            self.dockerfile(&build.dockerfile, &mut parts);
        }
        parts
    }

    /// The text of an entry.
    fn entry(&self, table: &str, name: &str) -> String {
        self.manifest.get(table).and_then(|table| table.get(name)).map(Value::to_string).unwrap_or_default()
    }

    /// A Dockerfile with its context, and the project's own bases that it starts from.
    fn dockerfile(&self, path: &str, parts: &mut Ingredients) {
        let part = format!("{path}{IS_CONTEXT}");
        if parts.contains_key(&part) {
            return;
        }
        // Without an allow-list, git lists the changed files of the context. With schema 1, every Dockerfile has one.
        if self.declared.schema == 1 || sources::allow_list(path, self.repository).is_some() {
            let hash = sources::hash(path, self.repository).map_err(|error| format!("{error:#}"));
            parts.insert(part, hash);
        }
        let references = references(self.repository, path);
        for base in self.declared.bases.iter().filter(|base| references.contains(&base.reference)) {
            let entry = self.entry("base", &base.name);
            parts.insert(format!("the manifest entry of base {}", base.name), Ok(entry));
            self.dockerfile(&base.dockerfile, parts);
        }
    }
}
