//! Variants: the image a team writes first, and the one that this tool keeps small.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of a service's two Dockerfiles an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// `Dockerfile`: what a team writes first, on upstream bases.
    Original,
    /// `Dockerfile.optimized`.
    Optimized,
}

/// What an optimized image's tag ends with.
pub const OPTIMIZED_SUFFIX: &str = "-optimized";

impl Variant {
    /// Both variants, the original first.
    pub const ALL: [Variant; 2] = [Variant::Original, Variant::Optimized];

    /// The name in labels, target names and reports.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Original => "original",
            Variant::Optimized => "optimized",
        }
    }

    /// What a tag of this variant ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Variant::Original => "",
            Variant::Optimized => OPTIMIZED_SUFFIX,
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
