//! A YAML document as a tree whose nodes know their position in the text.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::Result;
use libyaml_safer::{Event, EventData, Mark, ScalarStyle};

use crate::switch::yaml_events::events;

/// libyaml's error for a colon at the end of a plain scalar in a flow collection.
const UNEXPECTED_COLON: &str = "found unexpected ':'";

/// Index of a node in its [`Document`].
pub type NodeId = usize;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Where it starts, from 1.
    pub(super) line: usize,
}

#[derive(Debug)]
pub(super) enum NodeKind {
    Scalar {
        /// Unquoted, unescaped, unfolded.
        value: String,
        /// The bytes of the text that hold exactly `value`; `None` if escapes or folding change it.
        bytes: Option<Range<usize>>,
    },
    Mapping(Vec<(NodeId, NodeId)>),
    Sequence(Vec<NodeId>),
    Alias(NodeId),
    /// An alias whose anchor does not exist.
    BrokenAlias,
}

/// All YAML documents of a file.
#[derive(Debug, Default)]
pub struct Document {
    nodes: Vec<Node>,
    roots: Vec<NodeId>,
}

impl Document {
    /// Parses a file.
    ///
    /// # Errors
    /// Invalid YAML, with its line.
    pub fn parse(text: &str) -> Result<Document> {
        Document::parsed(text, text).or_else(|error| {
            let is_colon = error.to_string().contains(UNEXPECTED_COLON);
            let again = is_colon.then(|| Document::parsed(text, &without_last_colons(text)));
            again.and_then(Result::ok).ok_or(error)
        })
    }

    /// Parses `input`, which has the same length as `text` and differs only within scalars and comments. Scalars with escapes or
    /// several lines keep what `input` has.
    fn parsed(text: &str, input: &str) -> Result<Document> {
        let mut builder = Builder { text, input, ..Builder::default() };
        events(input)?.into_iter().for_each(|event| builder.take(event));
        Ok(builder.document)
    }

    /// The top node of each document.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// All nodes with their indices, in the order of the text.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate()
    }

    /// All scalars with a variable.
    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Scalar { value, .. } if value.contains("${") => Some(value.as_str()),
            _ => None,
        })
    }

    /// The node an alias points to, or the node itself.
    pub(super) fn resolved(&self, id: NodeId) -> NodeId {
        match self.nodes[id].kind {
            // Anchors precede their aliases and never mark an alias, so one step is enough.
            NodeKind::Alias(target) => target,
            _ => id,
        }
    }

    /// A mapping's entries; empty for any other node.
    pub fn entries(&self, id: NodeId) -> &[(NodeId, NodeId)] {
        match &self.nodes[self.resolved(id)].kind {
            NodeKind::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A sequence's items; empty for any other node.
    pub fn items(&self, id: NodeId) -> &[NodeId] {
        match &self.nodes[self.resolved(id)].kind {
            NodeKind::Sequence(items) => items,
            _ => &[],
        }
    }

    /// A scalar's value; follows an alias.
    pub fn scalar(&self, id: NodeId) -> Option<&str> {
        match &self.nodes[self.resolved(id)].kind {
            NodeKind::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The value of a mapping's key; the last one if the key is repeated (Compose rejects that).
    pub fn get(&self, id: NodeId, key: &str) -> Option<NodeId> {
        let found = self.entries(id).iter().rev().find(|(name, _)| self.scalar(*name) == Some(key));
        found.map(|(_, value)| *value)
    }
}

/// Replaces colons that Compose's parser (go-yaml) takes for the last character of a plain scalar, as in `{a: b:, c: d}`. libyaml
/// refuses them.
fn without_last_colons(text: &str) -> String {
    let mut last = ' ';
    let mut chars = text.chars().peekable();
    let mut out = String::with_capacity(text.len());
    while let Some(next) = chars.next() {
        let is_in_scalar = !last.is_whitespace() && !['"', '\'', ']', '}'].contains(&last);
        let is_last = next == ':' && is_in_scalar && matches!(chars.peek(), Some(',' | ']' | '}'));
        out.push(if is_last { '_' } else { next });
        last = next;
    }
    out
}

/// Builds the tree without recursion, so that deep nesting cannot overflow the stack.
#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    /// What the parser reads.
    input: &'t str,
    document: Document,
    /// Mappings and sequences whose end has not been parsed yet, with their children so far.
    open: Vec<(NodeId, Vec<NodeId>)>,
    anchors: HashMap<String, NodeId>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event) {
        let start = event.start_mark;
        match event.data {
            EventData::Scalar { anchor, value, style, .. } => {
                let bytes = self.bytes_of(&value, style, start);
                let value = bytes.clone().map_or(value, |bytes| self.text[bytes].to_owned());
                let id = self.add(NodeKind::Scalar { value, bytes }, start, anchor);
                self.place(id);
            }
            EventData::Alias { anchor } => {
                let kind = self.anchors.get(&anchor).map_or(NodeKind::BrokenAlias, |&id| NodeKind::Alias(id));
                let id = self.add(kind, start, None);
                self.place(id);
            }
            EventData::MappingStart { anchor, .. } => {
                let id = self.add(NodeKind::Mapping(Vec::new()), start, anchor);
                self.open.push((id, Vec::new()));
            }
            EventData::SequenceStart { anchor, .. } => {
                let id = self.add(NodeKind::Sequence(Vec::new()), start, anchor);
                self.open.push((id, Vec::new()));
            }
            EventData::MappingEnd | EventData::SequenceEnd => self.close(),
            // In Compose, anchors are valid in later documents, too.
            EventData::StreamStart { .. }
            | EventData::StreamEnd
            | EventData::DocumentStart { .. }
            | EventData::DocumentEnd { .. } => {}
        }
    }

    fn add(&mut self, kind: NodeKind, start: Mark, anchor: Option<String>) -> NodeId {
        let id = self.document.nodes.len();
        let line = usize::try_from(start.line).map_or(usize::MAX, |line| line + 1);
        self.document.nodes.push(Node { kind, line });
        if let Some(anchor) = anchor {
            self.anchors.insert(anchor, id);
        }
        id
    }

    fn close(&mut self) {
        let Some((id, children)) = self.open.pop() else { return };
        match &mut self.document.nodes[id].kind {
            NodeKind::Mapping(entries) => {
                entries.extend(children.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            kind => *kind = NodeKind::Sequence(children),
        }
        self.place(id);
    }

    /// Adds a finished node to its parent.
    fn place(&mut self, id: NodeId) {
        let siblings = self.open.last_mut().map_or(&mut self.document.roots, |(_, children)| children);
        siblings.push(id);
    }

    /// Where the text holds a scalar's value byte for byte. The index of a mark counts bytes.
    fn bytes_of(&self, value: &str, style: ScalarStyle, start: Mark) -> Option<Range<usize>> {
        let start = self.after_properties(usize::try_from(start.index).ok()?)?;
        let (start, quote) = match style {
            ScalarStyle::Plain => (start, None),
            ScalarStyle::SingleQuoted => (start + 1, Some('\'')),
            ScalarStyle::DoubleQuoted => (start + 1, Some('"')),
            _ => return None,
        };
        let rest = self.input.get(start..)?.strip_prefix(value)?;
        let closed = quote.is_none_or(|quote| rest.starts_with(quote));
        closed.then(|| start..start + value.len())
    }

    /// The position after a node's anchor and tag, which its span may include (YAML 1.2, "Node Properties").
    fn after_properties(&self, start: usize) -> Option<usize> {
        let mut rest = self.text.get(start..)?;
        while rest.starts_with(['&', '!']) {
            rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start_matches([' ', '\t']);
        }
        Some(self.text.len() - rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(String, Option<&str>)> {
        let document = Document::parse(text).unwrap();
        let scalars = document.nodes().filter_map(|(_, node)| match &node.kind {
            NodeKind::Scalar { value, bytes } => {
                Some((value.clone(), bytes.clone().map(|range| &text[range])))
            }
            _ => None,
        });
        scalars.collect()
    }

    #[test]
    fn scalars_know_their_bytes_in_the_text() {
        let text = "# ünïcode\r\na: 'single'\r\nb: \"double\" # end\r\nç: plain text\r\nd: \"tab\\t\"\r\ne: 'it''s'\r\nf: |\r\n  block\r\n";
        let found = spans(text);
        let exact: Vec<&str> = found.iter().filter_map(|(_, bytes)| *bytes).collect();
        assert_eq!(exact, ["a", "single", "b", "double", "ç", "plain text", "d", "e", "f"]);
        let inexact: Vec<&str> =
            found.iter().filter(|(_, bytes)| bytes.is_none()).map(|(value, _)| value.as_str()).collect();
        assert_eq!(inexact, ["tab\t", "it's", "block\n"]);
    }

    #[test]
    fn a_colon_may_end_a_plain_scalar_in_a_flow_collection() {
        // As Compose 2.26 reads it.
        let found = spans("a: {b: c:, d: [e:, \"f:,\"], \"g\":[], h:, \"i\\t:,\": x:}");
        let values: Vec<&str> = found.iter().map(|(value, _)| value.as_str()).collect();
        // A value with escapes is not restored.
        assert_eq!(values, ["a", "b", "c:", "d", "e:", "f:,", "g", "h:", "", "i\t_,", "x:"]);
        assert!(Document::parse("a: {b: c:, d: ]").is_err());
    }

    #[test]
    fn aliases_are_followed() {
        let document = Document::parse("x: &x\n  image: a\ny: *x\nz: {<<: *x, k: [1, 2]}\n").unwrap();
        let root = document.roots()[0];
        let y = document.get(root, "y").unwrap();
        assert_eq!(document.get(y, "image").and_then(|id| document.scalar(id)), Some("a"));
        let z = document.get(root, "z").unwrap();
        assert_eq!(document.items(document.get(z, "k").unwrap()).len(), 2);
        assert!(document.get(z, "<<").is_some());
    }

    #[test]
    fn invalid_yaml_is_reported_with_its_line() {
        let error = Document::parse("a: b\nc: [1, 2\nd: e\n").unwrap_err();
        assert!(error.to_string().starts_with("line 3: "), "{error}");
    }

    #[test]
    fn texts_that_the_parser_cannot_handle_are_refused() {
        for text in ["\"\\", "{!,~"] {
            Document::parse(text).unwrap_err();
        }
        Document::parse("|+\n #").unwrap();
    }

    #[test]
    fn deep_nesting_is_refused() {
        for text in ["[".repeat(200_000), "{a: ".repeat(200_000), "- ".repeat(200_000)] {
            assert!(Document::parse(&text).unwrap_err().to_string().contains("nested too deeply"));
        }
    }

    /// Compose accepts these (go-yaml), although YAML 1.2 does not.
    #[test]
    fn indentation_that_compose_accepts_is_read() {
        for text in [
            "a:\n  image: x:1\n  command: [\n    \"start\"\n  ]\n",
            "a:\n  image: x:1\n  command: [\n\"start\"\n]\n",
            "a:\n  image: x:1\n  command: {\n  a: b\n  }\n",
            "a:\n  image: x:1\n  command: \"start\nnext\"\n",
            "a:\n  image:\tx:1\t# end\n",
            "a: {\"image\":\"x:1\",\tb: c}\n",
        ] {
            let document = Document::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let a = document.get(document.roots()[0], "a").unwrap();
            let image = document.get(a, "image").unwrap();
            let NodeKind::Scalar { bytes: Some(bytes), .. } = &document.node(image).kind else {
                panic!("{text}")
            };
            assert_eq!(&text[bytes.clone()], "x:1");
        }
    }
}
