//! What smaller images are to bring: what the guide promises, what we want, and the figure that decides.

use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// A promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Benefit {
    /// In words: `Image pull time`.
    pub name: String,
    /// What decides.
    pub figure: Figure,
    /// What the guide promises, in percent less than the originals: from, to. Equal where it names one number; `None` where
    /// it promises nothing.
    pub guide: Option<(f64, f64)>,
    /// What we want, in percent less.
    pub goal: Option<f64>,
}

/// A figure of all services together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// The sum of unpacked bytes.
    Size,
    /// What was measured of the whole stack.
    Measured(Quantity),
}

impl Figure {
    /// All that a manifest can name.
    pub const ALL: [Figure; 6] = [
        Figure::Size,
        Figure::Measured(Quantity::PullBytes),
        Figure::Measured(Quantity::Pull),
        Figure::Measured(Quantity::Start),
        Figure::Measured(Quantity::MemoryIdle),
        Figure::Measured(Quantity::MemoryAfter),
    ];

    /// As the manifest names it.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Size => "size",
            Figure::Measured(quantity) => quantity.name(),
        }
    }
}
