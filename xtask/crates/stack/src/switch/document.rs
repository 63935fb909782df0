//! A YAML document as a tree whose nodes know where they stand in the text.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

/// Index of a node in its [`Document`].
pub type NodeId = usize;

/// A file that is no YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYaml {
    /// From 1.
    pub line: usize,
    /// In the parser's words.
    pub reason: String,
}

impl fmt::Display for NotYaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: {}; mend it, and write a blank where a tab follows a colon",
            self.line, self.reason
        )
    }
}

impl std::error::Error for NotYaml {}

/// One node.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// The line it starts on, from 1.
    pub line: usize,
    /// Whether aliases may name it.
    pub anchored: bool,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// A text.
    Scalar {
        /// Unquoted, unescaped, unfolded.
        value: String,
        /// The bytes of the text that hold exactly `value`; `None` where escapes or folding stand between.
        bytes: Option<Range<usize>>,
    },
    /// Keys and values.
    Mapping(Vec<(NodeId, NodeId)>),
    /// Items.
    Sequence(Vec<NodeId>),
    /// Another node by its anchor.
    Alias(NodeId),
    /// An alias whose anchor was never set.
    Nothing,
}

/// All documents of a file.
#[derive(Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
    roots: Vec<NodeId>,
}

impl Document {
    /// Parses a file.
    ///
    /// # Errors
    /// [`NotYaml`] with the line.
    pub fn parse(text: &str) -> Result<Document, NotYaml> {
        let mut builder = Builder { text, offsets: Offsets::of(text), ..Builder::default() };
        let mut parser = Parser::new_from_str(text);
        while let Some(next) = parser.next_event() {
            let (event, span) = next
                .map_err(|error| NotYaml { line: error.marker().line(), reason: error.info().to_owned() })?;
            builder.take(event, span);
        }
        Ok(builder.document)
    }

    /// The top node of each document.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// All nodes with their indices, in the text's order.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// The node that an alias names, else the node itself.
    pub fn resolved(&self, id: NodeId) -> NodeId {
        match self.nodes[id].kind {
            // An anchor is set before it is used and never on an alias, so one step is enough.
            Kind::Alias(target) => target,
            _ => id,
        }
    }

    /// A mapping's entries; none for what is no mapping.
    pub fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.nodes[self.resolved(id)].kind {
            Kind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A sequence's items; none for what is no sequence.
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.nodes[self.resolved(id)].kind {
            Kind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// A text's value, through an alias too.
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[self.resolved(id)].kind {
            Kind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value under a key of a mapping. A key that stands twice is the last one's, though Compose refuses it.
    pub fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let found = self.entries(id).iter().rev().find(|(name, _)| self.scalar(*name) == Some(key));
        found.map(|(_, value)| *value)
    }
}

/// A collection that is not closed yet.
enum Open {
    Mapping { id: NodeId, entries: Vec<(NodeId, NodeId)>, key: Option<NodeId> },
    Sequence { id: NodeId, items: Vec<NodeId> },
}

/// Makes the tree without recursion: files nest as deeply as their authors like.
#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    offsets: Offsets,
    document: Document,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) {
        match event {
            Event::Scalar(value, style, anchor, _) => {
                let bytes = self.bytes_of(&value, style, span);
                let id = self.add(Kind::Scalar { value: value.into_owned(), bytes }, span, anchor);
                self.place(id);
            }
            Event::Alias(anchor) => {
                let kind = self.anchors.get(&anchor).map_or(Kind::Nothing, |&id| Kind::Alias(id));
                let id = self.add(kind, span, 0);
                self.place(id);
            }
            Event::MappingStart(anchor, _) => {
                let id = self.add(Kind::Mapping(Vec::new()), span, anchor);
                self.open.push(Open::Mapping { id, entries: Vec::new(), key: None });
            }
            Event::SequenceStart(anchor, _) => {
                let id = self.add(Kind::Sequence(Vec::new()), span, anchor);
                self.open.push(Open::Sequence { id, items: Vec::new() });
            }
            Event::MappingEnd | Event::SequenceEnd => self.close(),
            _ => {}
        }
    }

    fn add(&mut self, kind: Kind, span: Span, anchor: usize) -> NodeId {
        let id = self.document.nodes.len();
        self.document.nodes.push(Node { kind, line: span.start.line(), anchored: anchor != 0 });
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        id
    }

    fn close(&mut self) {
        let id = match self.open.pop() {
            Some(Open::Mapping { id, entries, .. }) => {
                self.document.nodes[id].kind = Kind::Mapping(entries);
                id
            }
            Some(Open::Sequence { id, items }) => {
                self.document.nodes[id].kind = Kind::Sequence(items);
                id
            }
            None => return,
        };
        self.place(id);
    }

    /// Puts a finished node where it belongs.
    fn place(&mut self, id: NodeId) {
        match self.open.last_mut() {
            Some(Open::Mapping { entries, key, .. }) => match key.take() {
                Some(key) => entries.push((key, id)),
                None => *key = Some(id),
            },
            Some(Open::Sequence { items, .. }) => items.push(id),
            None => self.document.roots.push(id),
        }
    }

    /// Where the text holds a scalar's value byte for byte. Only a node's start is relied on: the parser's ends may lie
    /// behind blanks and comments.
    fn bytes_of(&self, value: &str, style: ScalarStyle, span: Span) -> Option<Range<usize>> {
        let start = self.behind_properties(self.offsets.bytes(span.start.index())?)?;
        let (start, quote) = match style {
            ScalarStyle::Plain => (start, None),
            ScalarStyle::SingleQuoted => (start + 1, Some('\'')),
            ScalarStyle::DoubleQuoted => (start + 1, Some('"')),
            ScalarStyle::Literal | ScalarStyle::Folded => return None,
        };
        let held = self.text.get(start..)?.strip_prefix(value)?;
        let closed = quote.is_none_or(|quote| held.starts_with(quote));
        closed.then(|| start..start + value.len())
    }

    /// The position behind a node's anchor and tag, which its start may include (YAML 1.2, "Node Properties").
    fn behind_properties(&self, start: usize) -> Option<usize> {
        let mut rest = self.text.get(start..)?;
        while rest.starts_with(['&', '!']) {
            rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start_matches([' ', '\t']);
        }
        Some(self.text.len() - rest.len())
    }
}

/// Positions in bytes of positions in characters, which the parser counts in.
#[derive(Default)]
struct Offsets(Option<Vec<usize>>, usize);

impl Offsets {
    fn of(text: &str) -> Offsets {
        let table = (!text.is_ascii())
            .then(|| text.char_indices().map(|(offset, _)| offset).chain([text.len()]).collect());
        Offsets(table, text.len())
    }

    fn bytes(&self, characters: usize) -> Option<usize> {
        match &self.0 {
            Some(table) => table.get(characters).copied(),
            None => (characters <= self.1).then_some(characters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(String, Option<&str>)> {
        let document = Document::parse(text).unwrap();
        let scalars = document.nodes().filter_map(|(_, node)| match &node.kind {
            Kind::Scalar { value, bytes } => Some((value.clone(), bytes.clone().map(|range| &text[range]))),
            _ => None,
        });
        scalars.collect()
    }

    #[test]
    fn values_stand_where_the_text_holds_them() {
        let text = "# ünïcode\r\na: 'single'\r\nb: \"double\" # end\r\nç: plain text\r\nd: \"tab\\t\"\r\ne: 'it''s'\r\nf: |\r\n  block\r\n";
        let found = spans(text);
        let exact: Vec<&str> = found.iter().filter_map(|(_, bytes)| *bytes).collect();
        assert_eq!(exact, ["a", "single", "b", "double", "ç", "plain text", "d", "e", "f"]);
        let inexact: Vec<&str> =
            found.iter().filter(|(_, bytes)| bytes.is_none()).map(|(value, _)| value.as_str()).collect();
        assert_eq!(inexact, ["tab\t", "it's", "block\n"]);
    }

    #[test]
    fn anchors_and_merges_are_seen_through() {
        let document = Document::parse("x: &x\n  image: a\ny: *x\nz: {<<: *x, k: [1, 2]}\n").unwrap();
        let root = document.roots()[0];
        let y = document.get(root, "y").unwrap();
        assert_eq!(document.get(y, "image").and_then(|id| document.scalar(id)), Some("a"));
        let z = document.get(root, "z").unwrap();
        assert_eq!(document.items(document.get(z, "k").unwrap()).len(), 2);
        assert!(document.get(z, "<<").is_some());
    }

    #[test]
    fn what_is_no_yaml_is_named_with_its_line() {
        assert_eq!(Document::parse("a: b\nc: [1, 2\nd: e\n").unwrap_err().line, 3);
    }

    #[test]
    fn deep_nesting_does_not_overflow() {
        let text = "[".repeat(20_000);
        assert!(Document::parse(&text).is_err());
    }
}
