//! Measuring originals against optimized images: pull, start, memory, processor time and requests; loads and their bounds.
//!
//! Variants take turns within one run, so that drift affects both. Each sample is on disk before the next is taken.

pub mod bounds;
mod cgroup;
mod container;
pub mod diet;
mod generated;
mod health;
mod load_run;
mod measured_images;
pub mod plan;
pub mod prepare;
mod pull_bench;
pub mod record;
pub mod recorder;
mod relay;
pub mod request;
pub mod run;
mod self_cost;
pub mod series;
mod session;
mod stack_run;
pub mod trace;
pub mod view;
