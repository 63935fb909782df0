//! Deployment to a swarm: converts the Compose model to a stack file, applies it, and waits until it has converged.

pub mod apply;
pub mod cluster;
pub mod contents;
pub mod converge;
mod differences;
pub mod images;
mod mounts;
pub mod overlay;
pub mod plan;
#[cfg(test)]
mod plan_tests;
pub mod ports;
mod program;
pub mod relay;
mod service;
pub mod smoke;
mod stack_file;
mod state;
