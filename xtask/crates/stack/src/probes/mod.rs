//! Probes: requests to the services of a running stack that the manifest declares, and their expected answers.

pub mod coverage;
pub(crate) mod documents;
pub(crate) mod endpoints;
pub(crate) mod health;
pub mod junit;
mod once;
pub mod plan;
pub mod report;
mod retry;
pub mod run;
pub mod secrecy;
