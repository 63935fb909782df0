//! Compose files: their image references found by a YAML parser, and changed without touching another byte.

pub mod document;
pub mod edits;
pub mod files;
pub mod images;
pub mod images_to_pin;
pub mod journal;
pub mod reference;
