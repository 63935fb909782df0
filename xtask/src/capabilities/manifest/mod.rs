//! Reading `xtask/images.toml`: all of its faults at once, or the manifest.

mod editions;
mod fields;
mod load;

pub use load::{Faults, load, parse};
