//! Pushing images to a registry: the plan, its execution, the local tags it needs, and the record of pushed digests.

mod attempt;
pub mod digests;
pub mod execute;
mod indexes;
mod local_tags;
pub(crate) mod plan;
pub mod report;
pub mod request;
pub(crate) mod retag;
mod schedule;
