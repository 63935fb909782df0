//! Reading `xtask/images.toml`: all of its faults at once, or the manifest.

mod baselines;
mod benefits;
mod editions;
mod fields;
mod json;
mod load;
mod opportunities;
mod probes;

pub(in crate::capabilities) use fields::{Fields, Notes};
pub use load::{Faults, load, parse};
pub use probes::RUN;
