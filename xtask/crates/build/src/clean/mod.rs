//! Removing what this repository built: images under its names and with its labels, and its part of the build cache.

pub mod cache;
pub mod plan;
pub mod report;
pub mod run;
pub mod text;
