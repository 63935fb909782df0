//! Compose settings without a Kubernetes equivalent, and what happens instead.

use std::collections::{BTreeMap, BTreeSet};

/// A Compose setting that has no exact Kubernetes equivalent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The key or value.
    pub what: String,
    /// What happens instead.
    pub instead: String,
    /// Service names in the Compose file; empty for the project.
    pub services: BTreeSet<String>,
}

/// Collects gaps; equal gaps of several services are merged.
#[derive(Debug, Default)]
pub(super) struct Gaps(BTreeMap<(String, String), BTreeSet<String>>);

impl Gaps {
    pub(super) fn add(&mut self, service: &str, what: impl Into<String>, instead: impl Into<String>) {
        let services = self.0.entry((what.into(), instead.into())).or_default();
        if !service.is_empty() {
            services.insert(service.to_owned());
        }
    }

    pub(super) fn list(self) -> Vec<Gap> {
        self.0.into_iter().map(|((what, instead), services)| Gap { what, instead, services }).collect()
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.services.iter().map(String::as_str).collect();
        let names = names.join(", ");
        let separator = if names.is_empty() { "" } else { ": " };
        write!(f, "{names}{separator}{}: {}", self.what, self.instead)
    }
}
