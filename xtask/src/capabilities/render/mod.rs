//! Renderers: pure functions of a record.

pub mod clean;
pub mod comparison;
pub mod probes;
pub mod push;
pub mod table;
