//! Image contents: an owner for every byte. Layers are read once (`reading`) and cached (`cache`). Everything else is computed
//! from what was read: the files that a container sees (`tree`), their owners (`attribution`), what the image could do
//! without (`opportunity_rules`), and the Dockerfile lines of its layers (`origins`).

pub mod analysis;
mod attribution;
mod cache;
mod cells;
pub mod changed_files;
pub mod code;
pub mod contents_view;
pub mod difference;
pub mod difference_view;
mod duplicates;
pub mod elf;
pub mod excerpt;
pub mod explain;
pub mod facts;
mod file_bytes;
mod hints;
#[cfg(test)]
mod hostile;
pub mod image;
pub mod layer_difference;
mod layers;
mod metadata;
pub mod notes;
pub mod opportunity;
mod opportunity_rules;
mod origins;
pub mod owned_files;
pub mod owner;
pub mod packages;
mod packing;
mod paths;
mod purl;
mod python_imports;
pub mod reading;
pub mod record;
pub mod sbom;
pub mod scan;
pub mod sources;
pub mod tree;
pub mod unowned;
pub mod use_shares;
pub mod use_view;
pub mod used;
pub mod waste;
