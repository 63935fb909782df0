//! Unknown names, with suggestions.

use std::fmt;

use host::failure::Failure;

/// An unknown name. Its message suggests the nearest known names, then lists all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    what: &'static str,
    given: String,
    known: Vec<String>,
}

impl Unknown {
    /// `what` is the kind of name, such as "service"; `known` are the valid names in the order to list them.
    pub fn new<S: Into<String>>(what: &'static str, given: &str, known: impl IntoIterator<Item = S>) -> Self {
        Unknown { what, given: given.to_owned(), known: known.into_iter().map(Into::into).collect() }
    }

    /// Up to three similar known names, nearest first.
    pub fn nearest(&self) -> Vec<&str> {
        let mut scored: Vec<(f64, &str)> = self
            .known
            .iter()
            .map(|name| (similarity(&self.given, name), name.as_str()))
            .filter(|(score, _)| *score >= 0.75)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        scored.into_iter().take(3).map(|(_, name)| name).collect()
    }
}

/// 1 for equal names, 0 for unrelated ones. Parts of a name score high: `embed` for `embedding`.
fn similarity(given: &str, name: &str) -> f64 {
    let given = given.to_lowercase();
    if given.len() >= 3 && (name.contains(&given) || given.contains(name)) {
        return 0.95;
    }
    strsim::jaro_winkler(&given, name)
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {} `{}`", self.what, self.given)?;
        let nearest = self.nearest();
        if !nearest.is_empty() {
            write!(f, "; did you mean `{}`?", nearest.join("` or `"))?;
        }
        if self.known.is_empty() { Ok(()) } else { write!(f, " (known: {})", self.known.join(", ")) }
    }
}

impl std::error::Error for Unknown {}

impl From<Unknown> for Failure {
    fn from(unknown: Unknown) -> Failure {
        Failure::usage(unknown.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["storage", "embedding", "bulk-ingester", "api"];

    #[test]
    fn a_typo_suggests_the_name() {
        assert_eq!(Unknown::new("service", "sotrage", KNOWN).nearest(), ["storage"]);
        assert_eq!(Unknown::new("service", "embed", KNOWN).nearest(), ["embedding"]);
        assert_eq!(Unknown::new("service", "ingester", KNOWN).nearest(), ["bulk-ingester"]);
    }

    #[test]
    fn an_unrelated_name_suggests_nothing() {
        let unknown = Unknown::new("service", "zzz", KNOWN);
        assert!(unknown.nearest().is_empty());
        assert_eq!(
            unknown.to_string(),
            "unknown service `zzz` (known: storage, embedding, bulk-ingester, api)"
        );
    }
}
