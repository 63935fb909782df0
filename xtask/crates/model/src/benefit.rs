//! Promised benefits of smaller images, and the figures that decide whether they are kept.

use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// A promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benefit {
    /// The heading, such as `Image pull time`.
    pub name: String,
    /// The deciding figure.
    pub figure: Figure,
    /// The guide's promise as a range of percent less than the originals.
    pub guide: Option<(f64, f64)>,
    /// Our goal in percent less than the originals.
    pub goal: Option<f64>,
}

/// A figure for all services together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Total unpacked bytes.
    Size,
    /// A measurement of the whole stack.
    Measured(Quantity),
}

impl Figure {
    /// All figures a manifest can name.
    pub const ALL: [Figure; 7] = [
        Figure::Size,
        Figure::Measured(Quantity::PullBytes),
        Figure::Measured(Quantity::Pull),
        Figure::Measured(Quantity::PullThrottled),
        Figure::Measured(Quantity::Start),
        Figure::Measured(Quantity::MemoryIdle),
        Figure::Measured(Quantity::MemoryAfter),
    ];

    /// The name in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Size => "size",
            Figure::Measured(Quantity::PullBytes) => "pull-bytes",
            Figure::Measured(Quantity::Pull) => "pull",
            Figure::Measured(Quantity::PullThrottled) => "pull-throttled",
            Figure::Measured(Quantity::Start) => "start",
            Figure::Measured(Quantity::MemoryIdle) => "memory-idle",
            Figure::Measured(_) => "memory-after",
        }
    }
}
