//! Collects all faults of a file with their lines.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use host::failure::{Failure, FailureClass};

/// Collects faults while a file is read.
#[derive(Debug)]
pub(super) struct Faults<'a> {
    text: &'a str,
    /// Lines from 1, and messages.
    faults: RefCell<Vec<(usize, String)>>,
}

impl<'a> Faults<'a> {
    pub fn new(text: &'a str) -> Self {
        Faults { text, faults: RefCell::default() }
    }

    /// Adds a fault at a byte range.
    pub fn add(&self, span: Range<usize>, text: impl fmt::Display) {
        let line = self.text[..span.start.min(self.text.len())].matches('\n').count() + 1;
        self.faults.borrow_mut().push((line, text.to_string()));
    }

    pub fn is_empty(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// All faults by line.
    pub fn into_failure(self, file: &str) -> Failure {
        let mut faults = self.faults.into_inner();
        faults.sort();
        let lines: String = faults.iter().map(|(line, text)| format!("\n  {file}:{line}: {text}")).collect();
        Failure::new(FailureClass::Manifest, format!("invalid manifest:{lines}"), "")
    }
}
