//! Building images: the plan, its execution, and the moment in which tags move.

pub mod cache;
pub mod failure;
pub mod plan;
mod planner;
pub mod produce;
pub mod progress;
pub mod publish;
pub mod run;
