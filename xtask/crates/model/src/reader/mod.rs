//! Reads the manifest: [`crate::file`] as serde reads it, then checked and converted into [`crate::manifest`]; or all faults at once.

mod builds;
mod cycles;
mod images;
mod load;
mod place;
mod probes;
mod requests;
mod rules;
mod services;
mod values;

pub use crate::reader::load::{load, migration_note, parse, parse_leniently};
pub use crate::reader::requests::requests;

#[cfg(test)]
mod tests;
