//! Deployment to Kubernetes: plans a stack's objects, writes them as a kustomize tree, and applies it.

mod amounts;
pub mod apply;
mod confinement;
mod environment;
mod gaps;
mod health;
pub mod images;
pub mod kubectl;
mod mounts;
mod names;
mod network_objects;
mod objects;
pub mod plan;
pub mod planner;
mod ports;
pub mod smoke;
pub mod tree;
mod untranslated;
pub mod write;

pub use amounts::is_size;
pub use gaps::Gap;
pub use names::is_name;
pub use objects::Common;

#[cfg(test)]
mod tests;
