//! `diet`: which files of an image can go, with proof. Candidates are the files that a trace never saw opened. Trials run the probes on
//! images without them, and delta debugging finds what must stay.

pub mod dockerfile;
mod findings;
pub mod minimize;
pub mod report;
mod rules;
pub mod run;
mod selection;
mod trials;
