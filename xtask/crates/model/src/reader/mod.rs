//! Reading `xtask/images.toml`: all of its faults at once, or the manifest.

pub mod baselines;
pub mod benefits;
pub mod bounds;
pub mod editions;
pub mod faults;
pub mod fields;
pub mod json;
pub mod load;
pub mod loads;
pub mod opportunities;
pub mod probes;

pub use crate::reader::faults::Faults;
pub use crate::reader::fields::{Fields, Notes};
pub use crate::reader::load::{load, parse};
pub use crate::reader::probes::RUN;
