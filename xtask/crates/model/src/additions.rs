//! What an edition of a service adds to the edition below it, as the manifest declares it.

use std::collections::{BTreeMap, BTreeSet};

use crate::edition::Edition;

/// What one edition adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addition {
    /// Packages of the service's own ecosystem, by the names that its package list shows.
    pub packages: BTreeSet<String>,
    /// What its `GET /capabilities` names.
    pub capabilities: BTreeSet<String>,
    /// What its `/health` shows as `limits`: all of them, since a limit changes and is not added.
    pub limits: BTreeMap<String, u64>,
}

/// The editions of one service. Empty for a service that is the same in all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions(BTreeMap<Edition, Addition>);

impl Additions {
    /// Of what each edition adds.
    pub fn new(by_edition: BTreeMap<Edition, Addition>) -> Self {
        Additions(by_edition)
    }

    /// Whether the editions are declared to differ in anything but their name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The packages that an edition holds and the smallest one lacks.
    pub fn packages(&self, edition: Edition) -> BTreeSet<&str> {
        self.up_to(edition).flat_map(|addition| &addition.packages).map(String::as_str).collect()
    }

    /// Everything that an edition can do.
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
    fn an_edition_has_what_smaller_ones_have() {
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
