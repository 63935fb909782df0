//! Floor 0: pure types. Nothing here reads a file, runs a process or knows docker's words for things.

pub mod additions;
pub mod bytes;
pub mod comparison;
pub mod compose_image;
pub mod contents;
pub mod dockerfile;
pub mod dotenv;
pub mod edition;
pub mod failure;
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
