//! Building images and what follows: plans, bases, tags, pushing, cleaning up, comparing.

pub mod bake;
pub mod bases;
pub mod builds;
pub mod changes;
pub mod clean;
pub mod comparison;
pub mod context_files;
mod declared_secrets;
pub mod environment;
pub mod estimate;
mod failure;
pub mod fleet;
pub mod image_sizes;
pub mod lock_files;
pub mod newest;
pub mod package_date;
pub mod plan;
pub mod planner;
mod progress;
mod publish;
pub mod push;
pub mod request;
pub mod secret_arguments;
pub mod shared_cache;
pub mod sources;
mod target_settings;
pub mod upstreams;
