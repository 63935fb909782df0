//! Compose files: their image references found by a YAML parser, and changed without touching another byte.

pub mod document;
pub mod engine;
pub mod files;
pub mod images;
pub mod journal;
pub mod switch;
