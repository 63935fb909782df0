//! Floor 3: what the project can do. Plans are values first; only then are they carried out.

pub mod bases;
pub mod build;
pub mod check;
pub mod checklist;
pub mod clean;
pub mod comparison;
pub mod compose;
pub mod contents;
pub mod context;
pub mod environment;
pub mod fleet;
pub mod health;
pub mod manifest;
pub mod measure;
pub mod parity;
pub mod pipeline;
pub mod probes;
pub mod programs;
pub mod records;
pub mod registry;
pub mod render;
pub mod sources;
pub mod stack;
pub mod trial;
pub mod trust;
pub mod variables;
