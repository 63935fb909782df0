//! Floor 0: pure types. Nothing here reads a file, runs a process or knows docker's words for things.

pub mod additions;
pub mod baseline;
pub mod build_args;
pub mod bytes;
pub mod check;
pub mod comparison;
pub mod compose_image;
pub mod contents;
pub mod day;
pub mod dockerfile;
pub mod dotenv;
pub mod edition;
pub mod expectation;
pub mod failure;
pub mod fleet;
pub mod image_ref;
pub mod interpolation;
pub mod manifest;
pub mod names;
pub mod parity;
pub mod placeholders;
pub mod probe;
pub mod probe_report;
pub mod variant;
pub mod version;
