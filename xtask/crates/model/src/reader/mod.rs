//! Reads `xtask/images.toml`: a validated manifest, or all of its faults at once.

mod baselines;
mod benefits;
mod bounds;
mod check_rules;
mod cycles;
mod editions;
mod faults;
mod fields;
mod json;
mod load;
mod loads;
mod opportunities;
mod probes;
mod registries;
mod service;

pub use crate::reader::load::{load, parse};
