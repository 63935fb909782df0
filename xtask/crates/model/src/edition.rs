//! Editions: named build flavours of the same services, declared in the manifest.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of an edition. A manifest lists its editions smallest first; the order of this type is alphabetical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Edition(&'static str);

/// The most characters in a name: tags have at most 128, of which 100 are the user's and 10 the variant's.
const MAX_LENGTH: usize = 17;

impl Edition {
    /// The only edition of a manifest that declares none. Its tags have no suffix.
    pub const NONE: Edition = Edition("");

    /// The edition of this name. Each name is kept once for the life of the process.
    pub fn named(name: &str) -> Edition {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Edition(known);
        }
        let kept: &'static str = name.to_owned().leak();
        names.insert(kept);
        Edition(kept)
    }

    /// Whether a manifest may declare this name: it becomes part of tags, file names and build targets.
    pub fn is_valid(name: &str) -> bool {
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        name.len() <= MAX_LENGTH
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && !name.ends_with('-')
            && name.chars().all(inside)
    }

    /// The name in tags, build arguments and the manifest; empty for [`Edition::NONE`].
    pub fn name(self) -> &'static str {
        self.0
    }

    /// Whether it is [`Edition::NONE`].
    pub fn is_none(self) -> bool {
        self.0.is_empty()
    }

    /// ` --edition NAME`, for commands in messages; empty for [`Edition::NONE`].
    pub fn option(self) -> String {
        if self.is_none() { String::new() } else { format!(" --edition {self}") }
    }

    /// `-NAME`, for tags and build targets; empty for [`Edition::NONE`].
    pub fn suffix(self) -> String {
        if self.is_none() { String::new() } else { format!("-{self}") }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Serialize for Edition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

impl<'de> Deserialize<'de> for Edition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Edition::named(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_the_same_edition() {
        assert_eq!(Edition::named("tiny"), Edition::named(&"tiny-x"[..4]));
        assert_ne!(Edition::named("tiny"), Edition::named("large"));
        assert_eq!(Edition::named(""), Edition::NONE);
        assert_eq!(
            (Edition::named("tiny").suffix(), Edition::NONE.suffix()),
            ("-tiny".into(), String::new())
        );
    }

    #[test]
    fn records_hold_the_name() {
        let json = serde_json::to_string(&[Edition::named("tiny"), Edition::NONE]).unwrap();
        assert_eq!(json, r#"["tiny",""]"#);
        let read: Vec<Edition> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, [Edition::named("tiny"), Edition::NONE]);
    }

    #[test]
    fn names_fit_into_tags() {
        for name in ["tiny", "py3", "with-gpu", &"x".repeat(17)] {
            assert!(Edition::is_valid(name), "{name}");
        }
        for name in ["", "3d", "-x", "x-", "Tiny", "a.b", "a b", "ä", &"x".repeat(18)] {
            assert!(!Edition::is_valid(name), "{name}");
        }
    }
}
