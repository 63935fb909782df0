//! Pushing images to a registry: the plan, its execution, and the record of pushed digests.

pub mod digests;
pub mod execute;
mod plan;
pub mod report;
mod schedule;
