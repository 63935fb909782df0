//! The images of a Compose file's services, and the other files it refers to (Compose Specification: `services`, `include`,
//! `extends`, "Fragments").

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::switch::document::{Document, NodeId, NodeKind};

/// A scalar that is the image of one or more services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageText {
    /// As Compose reads it, before interpolation.
    pub(super) value: String,
    /// The bytes of the file that hold exactly `value`; `None` if the file spells it differently.
    pub(super) bytes: Option<Range<usize>>,
    /// From 1.
    pub(super) line: usize,
    /// Whether an alias also uses it for something other than an image.
    pub(super) shared: bool,
}

/// The images of all services, in the order of the file.
pub(super) fn images(document: &Document) -> Vec<ImageText> {
    let mut found = BTreeSet::new();
    let mut uses = Uses::default();
    for service in services(document, &mut uses) {
        if let Some(value) = uses.lookup(document, service, "image") {
            uses.visited.insert(value);
            uses.images.insert(value);
            found.insert(document.resolved(value));
        }
    }
    let sharing = Sharing::of(document, &uses);
    let texts = found.into_iter().filter_map(|id| {
        let node = document.node(id);
        let NodeKind::Scalar { value, bytes } = &node.kind else { return None };
        let shared = sharing.affects(id, &uses);
        Some(ImageText { value: value.clone(), bytes: bytes.clone(), line: node.line, shared })
    });
    texts.collect()
}

/// A file that another one includes or extends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileReference {
    /// As written, relative to the base folder of the file that refers to it.
    pub path: String,
    /// The folder that paths inside that file are relative to, written relative to the same base: `project_directory`, or else
    /// the folder of the first included file.
    pub base: BaseFolder,
    /// Whether it is extended, not included. Compose ignores what such a file includes.
    pub is_extended: bool,
}

/// See [`FileReference::base`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BaseFolder {
    /// This folder.
    Is(String),
    /// The folder of this file.
    Of(String),
}

/// The files that `include` and `extends` name.
pub(super) fn referenced_files(document: &Document) -> Vec<FileReference> {
    let mut uses = Uses::default();
    let mut found = BTreeSet::new();
    let text = |id: NodeId| document.scalar(id).map(str::to_owned);
    for &root in document.roots() {
        let include = uses.lookup(document, root, "include");
        for &item in include.map_or(&[][..], |include| document.items(include)) {
            let path = uses.lookup(document, item, "path").unwrap_or(item);
            let paths: Vec<String> = text(path).into_iter().collect();
            let paths: Vec<String> =
                paths.into_iter().chain(document.items(path).iter().filter_map(|&path| text(path))).collect();
            let Some(first) = paths.first().cloned() else { continue };
            let folder = uses.lookup(document, item, "project_directory").and_then(text);
            let base = folder.map_or(BaseFolder::Of(first), BaseFolder::Is);
            let file = |path| FileReference { path, base: base.clone(), is_extended: false };
            found.extend(paths.into_iter().map(file));
        }
    }
    for service in services(document, &mut uses) {
        let extends = uses.lookup(document, service, "extends");
        let path = extends.and_then(|extends| uses.lookup(document, extends, "file")).and_then(text);
        if let Some(path) = path {
            found.insert(FileReference { base: BaseFolder::Of(path.clone()), path, is_extended: true });
        }
    }
    found.into_iter().collect()
}

/// Where a service sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceKey {
    /// The service's name.
    pub service: String,
    /// `command` and so on.
    pub key: &'static str,
    /// The line of its value, from 1.
    pub line: usize,
}

/// Where services set keys that concern their images' contents.
pub(super) fn service_keys(document: &Document) -> Vec<ServiceKey> {
    let mut uses = Uses::default();
    let mut found = Vec::new();
    for &root in document.roots() {
        let Some(table) = uses.lookup(document, root, "services") else { continue };
        for (name, service) in uses.named_values(document, table) {
            for key in ["build", "command", "entrypoint", "healthcheck"] {
                let value = uses.lookup(document, service, key);
                let line = value.map(|value| document.node(value).line);
                found.extend(line.map(|line| ServiceKey { service: name.clone(), key, line }));
            }
        }
    }
    found
}

/// The services of all documents, including those merged in.
fn services(document: &Document, uses: &mut Uses) -> Vec<NodeId> {
    let mut found = Vec::new();
    for &root in document.roots() {
        if let Some(table) = uses.lookup(document, root, "services") {
            found.extend(uses.named_values(document, table).into_iter().map(|(_, value)| value));
        }
    }
    found
}

/// Nodes visited on the way to images.
#[derive(Default)]
struct Uses {
    /// The values of services' `image` keys.
    images: BTreeSet<NodeId>,
    /// Nodes that Compose reads as services, tables of services, merge sources or images.
    visited: BTreeSet<NodeId>,
}

impl Uses {
    /// A mapping and everything merged into it (YAML's merge key), in order of precedence.
    fn sources(&mut self, document: &Document, mapping: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut queue = vec![mapping];
        let mut seen = BTreeSet::new();
        while let Some(id) = queue.pop() {
            self.visited.insert(id);
            // A mapping may be merged into itself. Compose rejects that; this loop must still end.
            if !seen.insert(document.resolved(id)) {
                continue;
            }
            found.push(id);
            if let Some(merged) = document.get(id, "<<") {
                self.visited.insert(merged);
                let items = document.items(merged);
                let sources = if items.is_empty() { std::slice::from_ref(&merged) } else { items };
                // The first source takes precedence, and the queue is popped from its end.
                queue.extend(sources.iter().rev());
            }
        }
        found
    }

    /// The value of a mapping's key: its own, else that of the first merge source that has one.
    fn lookup(&mut self, document: &Document, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.sources(document, mapping).into_iter().find_map(|source| document.get(source, key))
    }

    /// A mapping's values by key, including those merged into it and not overridden.
    fn named_values(&mut self, document: &Document, mapping: NodeId) -> Vec<(String, NodeId)> {
        let mut names = BTreeSet::from(["<<"]);
        let sources = self.sources(document, mapping);
        let entries = sources.into_iter().flat_map(|source| document.entries(source));
        let named = entries.filter_map(|(key, value)| Some((document.scalar(*key)?, *value)));
        named.filter(|(name, _)| names.insert(name)).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Tells whether a change of a scalar would affect more than images.
struct Sharing {
    aliased_elsewhere: BTreeSet<NodeId>,
    in_extension: BTreeSet<NodeId>,
    parents: BTreeMap<NodeId, NodeId>,
}

impl Sharing {
    fn of(document: &Document, uses: &Uses) -> Sharing {
        let aliased_elsewhere = aliased_elsewhere(document, uses);
        let mut parents = BTreeMap::new();
        for (id, _) in document.nodes() {
            parents.extend(children(document, id).into_iter().map(|child| (child, id)));
        }
        let with_extensions = document.roots().iter().chain(&uses.visited);
        let entries = with_extensions.flat_map(|&id| document.entries(id));
        let mut queue: Vec<NodeId> =
            entries.filter(|(key, _)| is_extension(document, *key)).map(|(_, value)| *value).collect();
        let mut in_extension = BTreeSet::new();
        while let Some(id) = queue.pop() {
            if in_extension.insert(id) {
                queue.extend(children(document, id));
            }
        }
        Sharing { aliased_elsewhere, in_extension, parents }
    }

    /// Whether the scalar, or a node around it, is also used for something other than images. Compose ignores extensions
    /// (`x-…`): a scalar in one affects only what refers to it.
    fn affects(&self, scalar: NodeId, uses: &Uses) -> bool {
        let mut ancestors = std::iter::successors(Some(scalar), |id| self.parents.get(id).copied());
        // The mapping may have another use and be merged into a service elsewhere.
        let is_in_service = self.parents.get(&scalar).is_some_and(|mapping| uses.visited.contains(mapping));
        let is_image = uses.images.contains(&scalar) && is_in_service;
        ancestors.any(|id| self.aliased_elsewhere.contains(&id))
            || !(is_image || self.in_extension.contains(&scalar))
    }
}

fn is_extension(document: &Document, key: NodeId) -> bool {
    document.scalar(key).is_some_and(|key| key.starts_with("x-"))
}

/// What aliases refer to, except for those on the way to images and those that only extensions contain.
fn aliased_elsewhere(document: &Document, uses: &Uses) -> BTreeSet<NodeId> {
    let visited = uses.visited.iter().chain(document.roots());
    let with_extensions: BTreeSet<NodeId> = visited.map(|&id| document.resolved(id)).collect();
    let (mut found, mut reached) = (BTreeSet::new(), BTreeSet::new());
    let mut queue = document.roots().to_vec();
    while let Some(id) = queue.pop() {
        if !reached.insert(id) {
            continue;
        }
        match &document.node(id).kind {
            NodeKind::Alias(target) => {
                if !uses.visited.contains(&id) {
                    found.insert(*target);
                }
                queue.push(*target);
            }
            NodeKind::Mapping(entries) => {
                let is_read = |key| !(with_extensions.contains(&id) && is_extension(document, key));
                let read = entries.iter().filter(|(key, _)| is_read(*key));
                queue.extend(read.flat_map(|&(key, value)| [key, value]));
            }
            _ => queue.extend(children(document, id)),
        }
    }
    found
}

/// Keys, values or items directly below a node; aliases are not followed.
fn children(document: &Document, id: NodeId) -> Vec<NodeId> {
    match &document.node(id).kind {
        NodeKind::Mapping(entries) => entries.iter().flat_map(|&(key, value)| [key, value]).collect(),
        NodeKind::Sequence(items) => items.clone(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each image, and whether it is shared.
    fn found(text: &str) -> Vec<(String, bool)> {
        let images = images(&Document::parse(text).unwrap());
        images.into_iter().map(|image| (image.value, image.shared)).collect()
    }

    fn one(value: &str, shared: bool) -> (String, bool) {
        (value.into(), shared)
    }

    #[test]
    fn only_images_of_services_count() {
        let text = "image: no\nservices:\n  a:\n    image: yes:1\n    build: {image: no}\n    environment: {image: no}\n  b: {}\nvolumes: {image: no}\n";
        assert_eq!(found(text), [one("yes:1", false)]);
    }

    #[test]
    fn services_may_share_an_image() {
        let text = "x-image: &i shared:1\nx-base: &b\n  image: merged:1\nservices:\n  a: {image: *i}\n  b: {image: *i}\n  c:\n    <<: *b\n  d:\n    <<: [*b]\n    image: own:1\n  e: &e\n    image: e:1\n  f: *e\n";
        let images = ["shared:1", "merged:1", "own:1", "e:1"];
        assert_eq!(found(text), images.map(|image| one(image, false)));
    }

    #[test]
    fn a_scalar_used_for_more_than_images_is_shared() {
        let text = "services:\n  a:\n    image: &i a:1\n    environment:\n      IMAGE: *i\n  b:\n    environment: {X: &j b:1}\n    image: *j\n";
        assert_eq!(found(text), [one("a:1", true), one("b:1", true)]);
    }

    #[test]
    fn a_mapping_used_for_more_than_services_is_shared() {
        let text = "x-c: &c\n  image: a:1\nservices:\n  a:\n    <<: *c\n  b:\n    environment: *c\n";
        assert_eq!(found(text), [one("a:1", true)]);
    }

    #[test]
    fn a_mapping_of_something_else_merged_into_a_service_is_shared() {
        let labels = "services:\n  a:\n    build: .\n    labels: &l\n      image: a:1\n  b:\n    <<: *l\n";
        assert_eq!(found(labels), [one("a:1", true)]);
        let extension = labels.replace("labels", "x-b").replace("    build: .\n", "");
        assert_eq!(found(&extension), [one("a:1", false)]);
        assert_eq!(found("services:\n  a:\n    <<: {image: a:1}\n"), [one("a:1", false)]);
    }

    #[test]
    fn aliases_in_unused_extensions_do_not_count() {
        for text in [
            "x-c: &c {image: a:1}\nx-unused: {<<: *c}\nservices: {a: *c}\n",
            "x-i: {a: &a a:1, all: [*a]}\nservices: {a: {image: *a}}\n",
            "services: {a: {image: &i a:1, x-note: *i}}\n",
            "x-c: &c {image: a:1}\n---\nservices: {a: *c}\n",
        ] {
            assert_eq!(found(text), [one("a:1", false)], "{text}");
        }
        let used = "x-c: &c {image: a:1}\nx-d: &d {k: *c}\nservices: {a: *c, b: {environment: *d}}\n";
        assert_eq!(found(used), [one("a:1", true)]);
    }

    #[test]
    fn services_may_be_merged_in() {
        let text =
            "x-s: &s\n  a: {image: a:1}\n  b: {image: b:1}\nservices:\n  <<: *s\n  b: {image: own:1}\n";
        assert_eq!(found(text), [one("a:1", false), one("own:1", false)]);
    }

    #[test]
    fn a_mapping_merged_into_itself_does_not_hang() {
        assert_eq!(found("x: &x\n  k: 1\nservices:\n  a: &a\n    <<: *a\n"), []);
    }

    #[test]
    fn included_and_extended_files_are_found() {
        let text = "include:\n  - one.yml\n  - path: [two.yml, three.yml]\n  - path: four.yml\n    project_directory: d\nservices:\n  a:\n    extends: {file: five.yml, service: x}\n  b:\n    extends: {service: a}\n";
        let files = referenced_files(&Document::parse(text).unwrap());
        let files: Vec<(&str, &BaseFolder)> =
            files.iter().map(|file| (file.path.as_str(), &file.base)).collect();
        let of = |name: &str| BaseFolder::Of(name.to_owned());
        assert_eq!(
            files,
            [
                ("five.yml", &of("five.yml")),
                ("four.yml", &BaseFolder::Is("d".to_owned())),
                ("one.yml", &of("one.yml")),
                ("three.yml", &of("two.yml")),
                ("two.yml", &of("two.yml"))
            ]
        );
    }
}
