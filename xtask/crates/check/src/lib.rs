//! Checks images: sizes against limits and baselines, editions against their declaration, files pruned too far, secrets, the
//! user an image runs as and the volumes that it cannot write. All faults are collected and reported at once. `vulnerabilities` asks
//! outside sources about what is in images.

mod allowances;
mod baselines;
mod commands;
mod editions;
mod fetch;
#[cfg(test)]
mod fixtures;
pub mod guard;
mod linkage;
pub mod lock;
pub mod lock_history;
pub mod overrides;
pub mod prune_finding;
pub mod pruned;
pub mod published_sizes;
mod python_modules;
mod registries;
mod render;
pub mod report;
mod secrets;
pub mod size_history;
mod tracked;
mod volumes;
pub mod vulnerabilities;
mod wrappers;
