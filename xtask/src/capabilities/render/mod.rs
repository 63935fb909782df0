//! Renderers: pure functions of a record.

pub mod comparison;
pub mod contents;
pub mod table;
pub mod why;
