//! Bounds: what a measured figure must not exceed.

use crate::quantity::Quantity;

/// The subject of xtask's own cost.
pub const XTASK: &str = "xtask";
/// The subject of what is measured of all services together.
pub const WHOLE: &str = "stack";

/// A limit for the median of one figure of optimized images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// A service, [`WHOLE`], [`XTASK`], or `LOAD/STEP`.
    pub subject: String,
    /// What is limited.
    pub quantity: Quantity,
    /// The largest value that is allowed, in the quantity's unit.
    pub at_most: u64,
}
