//! Advisories about the components of images.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::vulnerabilities::component::Component;
use crate::vulnerabilities::severity::Severity;
use crate::vulnerabilities::source::SourceName;

/// A known vulnerability of one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advisory {
    /// The component.
    pub component: Component,
    /// `CVE-…`, `RUSTSEC-…`, `GHSA-…`.
    pub id: String,
    /// Other names of the same vulnerability.
    pub aliases: Vec<String>,
    /// How severe it is.
    pub severity: Severity,
    /// The versions that fix it, or `after` the last that has it; empty if there is none.
    pub fixed_in: Vec<String>,
    /// One line.
    pub summary: String,
    /// Who says so.
    pub source: SourceName,
}

impl Advisory {
    fn names(&self) -> BTreeSet<&str> {
        self.aliases.iter().chain([&self.id]).map(String::as_str).collect()
    }

    /// Whether both are about the same vulnerability of the same component.
    fn is_same(&self, other: &Advisory) -> bool {
        self.component == other.component && !self.names().is_disjoint(&other.names())
    }
}

/// Removes what an earlier source has said already, and takes over a fixed version that only a later one knows.
pub(super) fn merged(advisories: Vec<Advisory>) -> Vec<Advisory> {
    let mut kept: Vec<Advisory> = Vec::new();
    for advisory in advisories {
        match kept.iter_mut().find(|other| other.is_same(&advisory)) {
            Some(other) if other.fixed_in.is_empty() => other.fixed_in = advisory.fixed_in,
            Some(_) => {}
            None => kept.push(advisory),
        }
    }
    kept
}
