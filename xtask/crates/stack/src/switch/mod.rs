//! Switching the image references in Compose files: found with a YAML parser, changed without touching any other byte.

pub mod document;
pub mod edits;
pub mod files;
pub mod images;
pub mod last_switch;
pub mod local_images;
mod mirror;
pub mod own_images;
pub mod proof;
pub mod reference;
pub mod registries;
mod yaml_events;
