//! Editions: how much of the platform an image contains.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names;

/// One of the three editions of guide.md, smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edition {
    /// Minimal dependencies.
    Simple,
    /// Basic machine learning.
    Community,
    /// The full scientific stack.
    Enterprise,
}

impl Edition {
    /// All editions, smallest first.
    pub const ALL: [Edition; 3] = [Edition::Simple, Edition::Community, Edition::Enterprise];

    /// The edition whose original images are built, compared and tested.
    pub const COMPARED: Edition = Edition::Simple;

    /// The name in tags, build arguments and the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Edition::Simple => "simple",
            Edition::Community => "community",
            Edition::Enterprise => "enterprise",
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Edition {
    type Err = names::Unknown;

    fn from_str(text: &str) -> Result<Self, names::Unknown> {
        Edition::ALL
            .into_iter()
            .find(|edition| edition.name() == text)
            .ok_or_else(|| names::Unknown::new("edition", text, Edition::ALL.map(Edition::name)))
    }
}
