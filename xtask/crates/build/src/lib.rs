//! What gets built and what happens to it: plans, bases, publishing, pushing, cleaning, comparing.

pub mod bases;
pub mod changes;
pub mod clean;
pub mod compare;
pub mod comparison;
pub mod comparison_text;
pub mod failure;
pub mod fleet;
pub mod fleet_of_images;
pub mod fleet_text;
pub mod plan;
pub mod planner;
pub mod produce;
pub mod progress;
pub mod publish;
pub mod push;
pub mod run;
pub mod shared_cache;
pub mod sources;
