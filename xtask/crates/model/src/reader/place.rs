//! Places in a file, and the faults found there.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use host::failure::{Failure, FailureClass};
use toml::Spanned;
use toml::de::DeValue;

/// Collects the faults of a file.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    text: &'a str,
    /// Byte offsets and messages.
    faults: RefCell<Vec<(usize, String)>>,
}

impl<'a> Faults<'a> {
    pub fn new(text: &'a str) -> Self {
        Faults { text, faults: RefCell::default() }
    }

    /// Adds a fault at a byte offset.
    pub fn add(&self, at: usize, text: impl fmt::Display) {
        self.faults.borrow_mut().push((at.min(self.text.len()), text.to_string()));
    }

    pub fn is_empty(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// All faults by line. `what`: the kind of file.
    pub fn into_failure(self, what: &str, file: &str) -> Failure {
        let mut faults = self.faults.into_inner();
        faults.sort();
        // One pass over the text, because a broken file may have a fault at every byte.
        let (mut line, mut counted) = (1, 0);
        for (place, _) in &mut faults {
            line += self.text[counted..*place].matches('\n').count();
            counted = std::mem::replace(place, line);
        }
        faults.sort();
        let lines: String = faults.iter().map(|(line, text)| format!("\n  {file}:{line}: {text}")).collect();
        Failure::new(FailureClass::Manifest, format!("invalid {what}:{lines}"), "")
    }
}

/// A value in the file, or where a missing one would stand.
#[derive(Debug, Clone)]
pub(super) struct Place<'a> {
    faults: &'a Faults<'a>,
    /// The path of keys, such as `service.api.port`; empty for the whole file.
    name: String,
    /// The key, or the element of an array.
    span: Range<usize>,
    value: Option<&'a DeValue<'a>>,
}

impl<'a> Place<'a> {
    /// The whole file.
    pub fn root(value: &'a DeValue<'a>, faults: &'a Faults<'a>) -> Self {
        Place { faults, name: String::new(), span: 0..0, value: Some(value) }
    }

    pub fn value(&self) -> Option<&'a DeValue<'a>> {
        self.value
    }

    /// The value of a key in this table. A missing key has the table's position.
    pub fn key(&self, key: &str) -> Place<'a> {
        let found = self.value.and_then(|value| value.as_table()?.get_key_value(key));
        let (span, value) = match found {
            Some((key, value)) => (key.span(), Some(value.get_ref())),
            None => (self.span.clone(), None),
        };
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        Place { faults: self.faults, name, span, value }
    }

    /// Whether this table has a key.
    pub fn has(&self, key: &str) -> bool {
        self.key(key).value.is_some()
    }

    /// How many of these keys this table has.
    pub fn count(&self, keys: &[&str]) -> usize {
        keys.iter().filter(|key| self.has(key)).count()
    }

    /// An element of this array.
    pub fn element(&self, element: &'a Spanned<DeValue<'a>>) -> Place<'a> {
        Place { value: Some(element.get_ref()), span: element.span(), ..self.clone() }
    }

    /// An element of this array by its position.
    pub fn at(&self, position: usize) -> Place<'a> {
        let element = self.value.and_then(|value| value.as_array()?.get(position));
        element.map_or_else(|| self.clone(), |element| self.element(element))
    }

    /// Reports a fault here.
    pub fn fault(&self, text: impl fmt::Display) {
        let colon = if self.name.is_empty() { "" } else { ": " };
        self.faults.add(self.span.start, format!("{}{colon}{text}", self.name));
    }

    /// Reports a fault of a key in this table: where the key stands, with the table's name.
    pub fn fault_at_key(&self, key: &str, text: impl fmt::Display) {
        Place { span: self.key(key).span, ..self.clone() }.fault(text);
    }

    /// Reports required keys that this table lacks.
    pub fn require(&self, keys: &[&str]) {
        for key in keys.iter().filter(|key| !self.has(key)) {
            self.faults.add(self.span.start, format!("{} has no `{key}`: add it", self.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_listed_by_line_whatever_their_order() {
        let text = "a\n\u{e9}\nc";
        let faults = Faults::new(text);
        for (at, what) in [(5, "z"), (99, "b"), (0, "first"), (2, "second"), (5, "a")] {
            faults.add(at, what);
        }
        let report = faults.into_failure("manifest", "f").to_string();
        assert!(report.contains("\n  f:1: first\n  f:2: second\n  f:3: a\n  f:3: b\n  f:3: z"), "{report}");
    }

    #[test]
    fn a_fault_in_every_byte_is_listed() {
        let text = "\n".repeat(300_000);
        let faults = Faults::new(&text);
        (0..text.len()).for_each(|at| faults.add(at, ""));
        assert!(faults.into_failure("manifest", "f").to_string().contains("\n  f:300000: "));
    }
}
