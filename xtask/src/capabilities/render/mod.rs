//! Renderers: pure functions of a record.

pub mod check;
pub mod checklist;
pub mod clean;
pub mod comparison;
pub mod contents;
pub mod fleet;
pub mod measurement;
pub mod probes;
pub mod push;
pub mod report;
pub mod table;
pub mod why;
