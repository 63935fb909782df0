//! `diet`: finds files that an image can do without, and proves it. Candidates are files that were never opened during a trace. Trials
//! run the probes on images without them, and delta debugging finds the files that must stay.

pub mod dockerfile;
mod findings;
pub mod minimize;
pub mod report;
mod rules;
pub mod run;
mod selection;
mod trials;
