//! Building images and what follows: plans, bases, tags, pushing, cleaning up, comparing.

pub mod bake;
pub mod bases;
pub mod builds;
pub mod changes;
pub mod clean;
pub mod comparison;
pub mod context_files;
pub mod environment;
mod failure;
pub mod fingerprint;
pub mod fleet;
pub mod image_sizes;
pub mod newest;
pub mod package_date;
pub mod plan;
pub mod planner;
mod progress;
mod publish;
pub mod push;
pub mod request;
mod reuse;
pub mod secret_arguments;
pub mod shared_cache;
pub mod sources;
pub mod upstreams;
