//! Collects all faults of a file with their lines.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use host::failure::{Failure, FailureClass};

/// Collects faults while a file is read.
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

    /// Adds a fault at a byte range.
    pub fn add(&self, span: Range<usize>, text: impl fmt::Display) {
        self.faults.borrow_mut().push((span.start.min(self.text.len()), text.to_string()));
    }

    pub fn is_empty(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// All faults by line.
    pub fn into_failure(self, file: &str) -> Failure {
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
        Failure::new(FailureClass::Manifest, format!("invalid manifest:{lines}"), "")
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
            faults.add(at..at, what);
        }
        let report = faults.into_failure("f").to_string();
        assert!(report.contains("\n  f:1: first\n  f:2: second\n  f:3: a\n  f:3: b\n  f:3: z"), "{report}");
    }

    #[test]
    fn a_fault_in_every_byte_is_listed() {
        let text = "\n".repeat(300_000);
        let faults = Faults::new(&text);
        (0..text.len()).for_each(|at| faults.add(at..at, ""));
        assert!(faults.into_failure("f").to_string().contains("\n  f:300000: "));
    }
}
