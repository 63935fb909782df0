//! Variants: the original and the optimized image of a service.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of a service's builds makes the image. A service with one build has originals only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// What the Compose file, the bake file or the manifest builds; in Sutra, `Dockerfile`, on upstream bases.
    Original,
    /// `Dockerfile.optimized`.
    Optimized,
}

/// The tag suffix of optimized images.
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

    /// The tag suffix of this variant.
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
