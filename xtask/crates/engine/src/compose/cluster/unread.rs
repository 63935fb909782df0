//! Names of unread keys.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};

/// Keys of a mapping that its Rust type does not read. Keeps only names because values may be secret. Ignores extensions (`x-…`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread(Vec<String>);

impl Unread {
    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unread, D::Error> {
        let rest = BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Unread(rest.into_keys().filter(|key| !key.starts_with("x-")).collect()))
    }
}

/// An unread key in the Compose file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnreadKey {
    /// The service; `None` for keys outside `services`.
    pub service: Option<String>,
    /// The path of the key within the service, such as `deploy.update_config.monitor`.
    pub key: String,
}

/// Collects the unread keys of one service.
pub(super) struct Collector<'a> {
    pub(super) service: Option<&'a str>,
    pub(super) found: &'a mut Vec<UnreadKey>,
}

impl Collector<'_> {
    /// Adds the unread keys of a mapping at `path`.
    pub(super) fn add(&mut self, path: &str, unread: &Unread) {
        for name in unread.names() {
            let key = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let key = UnreadKey { service: self.service.map(str::to_owned), key };
            if !self.found.contains(&key) {
                self.found.push(key);
            }
        }
    }
}
