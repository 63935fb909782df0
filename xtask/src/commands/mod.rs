//! Floor 4: one file a subcommand. What was typed stays here; capabilities take resolved values.

pub mod analyze;
mod asked;
pub mod build_images;
pub mod check;
pub mod ci;
pub mod clean;
pub mod compare;
pub mod completions;
pub mod compose_switch;
pub mod deploy;
pub mod doctor;
pub mod measure;
pub mod push;
pub mod release_check;
pub mod report;
pub mod smoke_test;
pub mod test;
mod typed;
pub mod why;

pub use typed::Usage;
