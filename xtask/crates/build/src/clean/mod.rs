//! Removing images that this repository built, and pruning the build cache.

pub mod execute;
mod plan;
pub mod report;
