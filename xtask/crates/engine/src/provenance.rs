//! What a record was made from. A record is stale when its sources or images have changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use model::edition::Edition;

/// The sources and images of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The state of the working tree; `None` outside git, where it is unknown.
    pub commit: Option<Commit>,
    /// The time, RFC 3339.
    pub at: String,
    /// The edition of the images.
    pub edition: Edition,
    /// Their tag, without edition and variant.
    pub tag: String,
    /// IDs of the existing images, by reference.
    pub images: BTreeMap<String, String>,
}

/// A state of the working tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The commit's ID.
    pub id: String,
    /// A hash of everything that differed from the commit; `None` for a clean tree.
    pub changes: Option<String>,
}

impl Commit {
    /// From `git describe --dirty`, where the changes are unknown.
    pub fn described(text: &str) -> Commit {
        match text.strip_suffix("-dirty") {
            Some(id) => Commit { id: id.to_owned(), changes: Some("unknown".to_owned()) },
            None => Commit { id: text.to_owned(), changes: None },
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id.get(..8).unwrap_or(&self.id))?;
        if self.changes.is_some() { f.write_str(" with changes") } else { Ok(()) }
    }
}

/// How many images a reason names.
const NAMED: usize = 3;

impl Provenance {
    /// Why a record of this is stale compared to `now`; `None` when it is fresh. The time does not matter.
    pub fn staleness(&self, now: &Provenance) -> Option<String> {
        let mut why: Vec<String> =
            Self::tree_changed(self.commit.as_ref(), now.commit.as_ref()).into_iter().collect();
        if (self.edition, &self.tag) != (now.edition, &now.tag) {
            let of = |it: &Provenance| format!("{} {}", it.tag, it.edition).trim_end().to_owned();
            why.push(format!("it is for {}, not for {}", of(self), of(now)));
        }
        let references = self.images.keys().chain(now.images.keys());
        let mut changed: Vec<&String> =
            references.filter(|name| self.images.get(*name) != now.images.get(*name)).collect();
        changed.sort();
        changed.dedup();
        if !changed.is_empty() {
            let named: Vec<&str> = changed.iter().take(NAMED).map(|name| name.as_str()).collect();
            let more = match changed.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            why.push(format!("images changed or missing: {}{more}", named.join(", ")));
        }
        (!why.is_empty()).then(|| why.join("; "))
    }

    /// Why a record of one state of the tree does not apply to another.
    pub fn tree_changed(then: Option<&Commit>, now: Option<&Commit>) -> Option<String> {
        match (then, now) {
            (Some(then), Some(now)) if then == now => None,
            (Some(then), Some(now)) if then.id == now.id => Some(match (&then.changes, &now.changes) {
                (None, Some(_)) => format!("files have changed since (commit {now})"),
                _ => format!("files have changed since (commit {then}, now {now})"),
            }),
            (Some(then), Some(now)) => Some(format!("recorded at commit {then}, now at {now}")),
            (None, _) | (_, None) => Some("its sources are unknown: this is not a git checkout".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(commit: &str, changes: Option<&str>, images: &[(&str, &str)]) -> Provenance {
        Provenance {
            commit: Some(Commit { id: commit.into(), changes: changes.map(str::to_owned) }),
            at: String::new(),
            edition: Edition::named("simple"),
            tag: "latest".into(),
            images: images.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect(),
        }
    }

    #[test]
    fn unchanged_sources_and_images_are_fresh() {
        let then = made("a", None, &[("x", "1")]);
        let now = Provenance { at: "later".into(), ..then.clone() };
        assert_eq!(then.staleness(&now), None);
    }

    #[test]
    fn every_difference_is_reported() {
        let then = made("aaaaaaaabb", None, &[("x", "1"), ("y", "1")]);
        let why = |now: &Provenance| then.staleness(now).unwrap();
        assert_eq!(
            why(&made("ccccccccdd", None, &[("x", "1"), ("y", "1")])),
            "recorded at commit aaaaaaaa, now at cccccccc"
        );
        assert_eq!(
            why(&made("aaaaaaaabb", Some("d"), &[("x", "1"), ("y", "1")])),
            "files have changed since (commit aaaaaaaa with changes)"
        );
        assert_eq!(why(&made("aaaaaaaabb", None, &[("x", "2"), ("y", "1")])), "images changed or missing: x");
        assert_eq!(why(&made("aaaaaaaabb", None, &[("z", "1")])), "images changed or missing: x, y, z");
        let other = Provenance { tag: "1.0".into(), ..then.clone() };
        assert_eq!(why(&other), "it is for latest simple, not for 1.0 simple");
    }

    #[test]
    fn outside_git_nothing_is_fresh() {
        let then = Provenance { commit: None, ..made("a", None, &[]) };
        assert!(then.staleness(&then).unwrap().contains("not a git checkout"));
    }
}
