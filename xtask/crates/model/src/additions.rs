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

/// What each edition of a service adds, smallest edition first; empty if its editions do not differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions(Vec<(Edition, Addition)>);

impl Additions {
    /// Additions in the order of `editions`, the manifest's.
    pub fn new(editions: &[Edition], mut by_edition: BTreeMap<Edition, Addition>) -> Self {
        let take = |edition: &Edition| by_edition.remove_entry(edition);
        Additions(editions.iter().filter_map(take).collect())
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
        let own = self.0.iter().find(|(of, _)| *of == edition);
        let limits = own.map(|(_, addition)| &addition.limits);
        limits.into_iter().flatten().map(|(name, value)| (name.as_str(), *value)).collect()
    }

    fn up_to(&self, edition: Edition) -> impl Iterator<Item = &Addition> {
        let position = self.0.iter().position(|(of, _)| *of == edition);
        self.0.iter().take(position.map_or(0, |last| last + 1)).map(|(_, addition)| addition)
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
        // Not the alphabetical order.
        let [small, medium, large] = ["small", "medium", "large"].map(Edition::named);
        let by_edition =
            BTreeMap::from([(small, adds(&[], 1)), (medium, adds(&["a", "b"], 2)), (large, adds(&["c"], 3))]);
        let additions = Additions::new(&[small, medium, large], by_edition);
        assert_eq!(additions.packages(medium), BTreeSet::from(["a", "b"]));
        assert_eq!(additions.packages(small), BTreeSet::new());
        assert_eq!(additions.capabilities(large), BTreeSet::from(["use-a", "use-b", "use-c"]));
        assert_eq!(additions.limits(medium), BTreeMap::from([("texts", 2)]));
    }
}
