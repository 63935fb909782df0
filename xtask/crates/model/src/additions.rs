//! The declared differences between a service's editions.

use std::collections::{BTreeMap, BTreeSet};

use crate::edition::Edition;

/// What an edition adds to the next smaller one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addition {
    /// Python or npm packages.
    pub packages: BTreeSet<String>,
    /// Entries of `GET /capabilities`.
    pub capabilities: BTreeSet<String>,
    /// All `limits` in `/health`: limits change between editions, they are not added.
    pub limits: BTreeMap<String, u64>,
}

/// What each edition of a service adds; empty if its editions do not differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions(BTreeMap<Edition, Addition>);

impl Additions {
    /// Additions by edition.
    pub fn new(by_edition: BTreeMap<Edition, Addition>) -> Self {
        Additions(by_edition)
    }

    /// Whether the editions are declared to be equal.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Packages that an edition has in addition to the smallest one.
    pub fn packages(&self, edition: Edition) -> BTreeSet<&str> {
        self.up_to(edition).flat_map(|addition| &addition.packages).map(String::as_str).collect()
    }

    /// All capabilities of an edition.
    pub fn capabilities(&self, edition: Edition) -> BTreeSet<&str> {
        self.up_to(edition).flat_map(|addition| &addition.capabilities).map(String::as_str).collect()
    }

    /// The limits of an edition.
    pub fn limits(&self, edition: Edition) -> BTreeMap<&str, u64> {
        let limits = self.0.get(&edition).map(|addition| &addition.limits);
        limits.into_iter().flatten().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    fn up_to(&self, edition: Edition) -> impl Iterator<Item = &Addition> {
        self.0.range(..=edition).map(|(_, addition)| addition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_includes_smaller_ones() {
        let adds = |packages: &[&str], limit: u64| Addition {
            packages: packages.iter().map(ToString::to_string).collect(),
            capabilities: packages.iter().map(|name| format!("use-{name}")).collect(),
            limits: BTreeMap::from([("texts".to_owned(), limit)]),
        };
        let additions = Additions::new(BTreeMap::from([
            (Edition::Simple, adds(&[], 1)),
            (Edition::Community, adds(&["a", "b"], 2)),
            (Edition::Enterprise, adds(&["c"], 3)),
        ]));
        assert_eq!(additions.packages(Edition::Community), BTreeSet::from(["a", "b"]));
        assert_eq!(additions.packages(Edition::Simple), BTreeSet::new());
        assert_eq!(additions.capabilities(Edition::Enterprise), BTreeSet::from(["use-a", "use-b", "use-c"]));
        assert_eq!(additions.limits(Edition::Community), BTreeMap::from([("texts", 2)]));
    }
}
