//! Everything that is wrong with a file, reported at once.

use std::fmt;

use crate::reader::fields::Fault;
use host::failure::{Failure, FailureClass};

/// Everything that is wrong with a file.
#[derive(Debug)]
pub struct Faults {
    file: &'static str,
    faults: Vec<Fault>,
}

impl Faults {
    /// Of another file that is read the same way.
    pub fn new(file: &'static str, faults: Vec<Fault>) -> Faults {
        Faults { file, faults }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.faults.len();
        write!(f, "{} has {count} fault{}:", self.file, if count == 1 { "" } else { "s" })?;
        for fault in &self.faults {
            write!(f, "\n  {}:{}: {}", self.file, fault.line, fault.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Failure {
        Failure::new(FailureClass::Manifest, faults.to_string(), "")
    }
}
