//! Renderers: pure functions of a record.

pub mod comparison;
pub mod probes;
pub mod push;
pub mod table;
