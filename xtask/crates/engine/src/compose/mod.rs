//! Docker Compose.

mod config;
mod project;
mod ps;

pub use crate::compose::config::{ComposeConfig, ComposeMount, ComposeResource, ComposeService};
pub use crate::compose::project::{Project, UpResult};
pub use crate::compose::ps::ComposeContainer;
