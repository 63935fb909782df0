//! Removing images that this repository built, and pruning the build cache.

pub mod execute;
pub mod plan;
pub mod report;
