//! Throwaway stacks: of any edition and variant, isolated from every other stack, always removed.

mod any_image;
mod confinement;
mod copies;
mod folder;
mod images;
mod overrides;
mod removal;
mod stack;
mod stack_tests;
pub mod test_run;
mod tested;
mod trial;

pub use any_image::{AnyImage, Runner};
pub use images::StackImages;
pub use removal::sweep;
pub use stack::{ThrowawayStack, dependency_closures};
pub use trial::{TrialFailure, TrialPlan, UntouchedAnswers, refuse_unasked};
