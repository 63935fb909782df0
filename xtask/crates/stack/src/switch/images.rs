//! What Compose reads as the images of services, and the further files that it reads (Compose Specification: `services`,
//! `include`, `extends`, "Fragments").

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::switch::document::{Document, Kind, NodeId};

/// One text that names the image of one service or of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageText {
    /// As Compose reads it, before interpolation.
    pub value: String,
    /// The bytes of the file that hold it; `None` where they hold it in another form.
    pub bytes: Option<Range<usize>>,
    /// From 1.
    pub line: usize,
    /// The services that it serves, in the file's order.
    pub services: Vec<String>,
    /// Whether something that is no image has the same text through an anchor.
    pub shared: bool,
}

/// All images of a file's services, in the file's order.
pub fn images(document: &Document) -> Vec<ImageText> {
    let mut services: BTreeMap<NodeId, Vec<String>> = BTreeMap::new();
    let mut uses = Uses::default();
    for service in services_of(document, &mut uses) {
        if let Some(value) = uses.lookup(document, service.value, "image") {
            uses.passed.insert(value);
            uses.images.insert(value);
            services.entry(document.resolved(value)).or_default().push(service.name);
        }
    }
    let others = Others::of(document, &uses);
    let texts = services.into_iter().filter_map(|(id, services)| {
        let node = document.node(id);
        let Kind::Scalar { value, bytes } = &node.kind else { return None };
        let shared = others.hold(id, &uses);
        Some(ImageText { value: value.clone(), bytes: bytes.clone(), line: node.line, services, shared })
    });
    texts.collect()
}

/// The files that a file leads to, as it names them; relative to its own folder.
pub fn further_files(document: &Document) -> Vec<String> {
    let mut uses = Uses::default();
    let mut found = Vec::new();
    let mut take = |id: NodeId| found.extend(document.scalar(id).map(str::to_owned));
    for &root in document.roots() {
        for &item in document.get(root, "include").map_or(&[][..], |include| document.items(include)) {
            take(item);
            if let Some(path) = document.get(item, "path") {
                take(path);
                document.items(path).iter().for_each(|&path| take(path));
            }
        }
    }
    for service in services_of(document, &mut uses) {
        let extends = uses.lookup(document, service.value, "extends");
        if let Some(file) = extends.and_then(|extends| document.get(extends, "file")) {
            take(file);
        }
    }
    found.sort();
    found.dedup();
    found
}

struct Service {
    name: String,
    value: NodeId,
}

/// The services of all documents, those that are merged in included.
fn services_of(document: &Document, uses: &mut Uses) -> Vec<Service> {
    let mut found = Vec::new();
    for &root in document.roots() {
        let Some(table) = document.get(root, "services") else { continue };
        for (name, value) in uses.entries(document, table) {
            found.push(Service { name, value });
        }
    }
    found
}

/// What was looked through on the way to images.
#[derive(Default)]
struct Uses {
    /// The values that services have as `image`.
    images: BTreeSet<NodeId>,
    /// Nodes that Compose reads as services, as tables of services, as what is merged into one, or as images.
    passed: BTreeSet<NodeId>,
}

impl Uses {
    /// The mappings that make one up: itself, then what is merged into it (YAML's merge key).
    fn sources(&mut self, document: &Document, mapping: NodeId) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut queue = vec![mapping];
        let mut seen = BTreeSet::new();
        while let Some(id) = queue.pop() {
            self.passed.insert(id);
            // A mapping can be merged into itself; Compose refuses that, and it must not hang here.
            if !seen.insert(document.resolved(id)) {
                continue;
            }
            found.push(id);
            if let Some(merged) = document.get(id, "<<") {
                self.passed.insert(merged);
                let items = document.items(merged);
                let sources = if items.is_empty() { std::slice::from_ref(&merged) } else { items };
                // The first has precedence, and the queue is taken from its end.
                queue.extend(sources.iter().rev());
            }
        }
        found
    }

    /// A mapping's value under a key: its own, else that of the first mapping merged into it that has one.
    fn lookup(&mut self, document: &Document, mapping: NodeId, key: &str) -> Option<NodeId> {
        self.sources(document, mapping).into_iter().find_map(|source| document.get(source, key))
    }

    /// A mapping's entries, and those merged into it that it does not have itself.
    fn entries(&mut self, document: &Document, mapping: NodeId) -> Vec<(String, NodeId)> {
        let mut names = BTreeSet::new();
        let mut found = Vec::new();
        for source in self.sources(document, mapping) {
            for &(key, value) in document.entries(source) {
                if let Some(name) = document.scalar(key).filter(|name| *name != "<<")
                    && names.insert(name.to_owned())
                {
                    found.push((name.to_owned(), value));
                }
            }
        }
        found
    }
}

/// Where texts stand, and what names them or what holds them.
struct Others {
    aliased_elsewhere: BTreeSet<NodeId>,
    in_extension: BTreeSet<NodeId>,
    parents: BTreeMap<NodeId, NodeId>,
}

impl Others {
    fn of(document: &Document, uses: &Uses) -> Others {
        let aliases = document.nodes().filter_map(|(id, node)| match node.kind {
            Kind::Alias(target) if !uses.passed.contains(&id) => Some(target),
            _ => None,
        });
        let aliased_elsewhere = aliases.collect();
        let mut in_extension = BTreeSet::new();
        for &root in document.roots() {
            for &(key, value) in document.entries(root) {
                if document.scalar(key).is_some_and(|key| key.starts_with("x-")) {
                    below(document, value, &mut in_extension);
                }
            }
        }
        let mut parents = BTreeMap::new();
        for (id, node) in document.nodes() {
            match &node.kind {
                Kind::Mapping(entries) => {
                    parents.extend(entries.iter().flat_map(|&(key, value)| [(key, id), (value, id)]));
                }
                Kind::Sequence(items) => parents.extend(items.iter().map(|&item| (item, id))),
                _ => {}
            }
        }
        Others { aliased_elsewhere, in_extension, parents }
    }

    /// Whether a change of the text would change more than images: it, or what it stands in, is named elsewhere. Compose
    /// ignores extensions (`x-…`), so a text that stands there serves only those who name it.
    fn hold(&self, text: NodeId, uses: &Uses) -> bool {
        let ancestors = std::iter::successors(Some(text), |id| self.parents.get(id).copied());
        ancestors.into_iter().any(|id| self.aliased_elsewhere.contains(&id))
            || !(uses.images.contains(&text) || self.in_extension.contains(&text))
    }
}

/// A node and all below it, aliases not followed.
fn below(document: &Document, top: NodeId, found: &mut BTreeSet<NodeId>) {
    let mut queue = vec![top];
    while let Some(id) = queue.pop() {
        found.insert(id);
        match &document.node(id).kind {
            Kind::Mapping(entries) => queue.extend(entries.iter().flat_map(|&(key, value)| [key, value])),
            Kind::Sequence(items) => queue.extend(items),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, Vec<String>, bool)> {
        let images = images(&Document::parse(text).unwrap());
        images.into_iter().map(|image| (image.value, image.services, image.shared)).collect()
    }

    fn one(value: &str, services: &[&str], shared: bool) -> (String, Vec<String>, bool) {
        (value.into(), services.iter().map(ToString::to_string).collect(), shared)
    }

    #[test]
    fn only_images_of_services_count() {
        let text = "image: no\nservices:\n  a:\n    image: yes:1\n    build: {image: no}\n    environment: {image: no}\n  b: {}\nvolumes: {image: no}\n";
        assert_eq!(found(text), [one("yes:1", &["a"], false)]);
    }

    #[test]
    fn one_text_serves_several_services() {
        let text = "x-image: &i shared:1\nx-base: &b\n  image: merged:1\nservices:\n  a: {image: *i}\n  b: {image: *i}\n  c:\n    <<: *b\n  d:\n    <<: [*b]\n    image: own:1\n  e: &e\n    image: e:1\n  f: *e\n";
        assert_eq!(
            found(text),
            [
                one("shared:1", &["a", "b"], false),
                one("merged:1", &["c"], false),
                one("own:1", &["d"], false),
                one("e:1", &["e", "f"], false),
            ]
        );
    }

    #[test]
    fn a_text_that_is_more_than_an_image_is_marked() {
        let text = "services:\n  a:\n    image: &i a:1\n    environment:\n      IMAGE: *i\n  b:\n    environment: {X: &j b:1}\n    image: *j\n";
        assert_eq!(found(text), [one("a:1", &["a"], true), one("b:1", &["b"], true)]);
    }

    #[test]
    fn a_mapping_that_is_more_than_a_service_is_marked() {
        let text = "x-c: &c\n  image: a:1\nservices:\n  a:\n    <<: *c\n  b:\n    environment: *c\n";
        assert_eq!(found(text), [one("a:1", &["a"], true)]);
    }

    #[test]
    fn services_may_be_merged_in() {
        let text =
            "x-s: &s\n  a: {image: a:1}\n  b: {image: b:1}\nservices:\n  <<: *s\n  b: {image: own:1}\n";
        let mut images = found(text);
        images.sort();
        assert_eq!(images, [one("a:1", &["a"], false), one("own:1", &["b"], false)]);
    }

    #[test]
    fn a_merge_into_itself_ends() {
        assert_eq!(found("x: &x\n  k: 1\nservices:\n  a: &a\n    <<: *a\n"), []);
    }

    #[test]
    fn further_files_are_named() {
        let text = "include:\n  - one.yml\n  - path: [two.yml, three.yml]\n  - path: four.yml\nservices:\n  a:\n    extends: {file: five.yml, service: x}\n  b:\n    extends: {service: a}\n";
        let files = further_files(&Document::parse(text).unwrap());
        assert_eq!(files, ["five.yml", "four.yml", "one.yml", "three.yml", "two.yml"]);
    }
}
