//! Pushing images to a registry: what to push as data, how to carry it out, and what is remembered of it.

pub mod digests;
pub mod plan;
pub mod report;
pub mod retry;
pub mod run;
pub mod schedule;
pub mod text;
