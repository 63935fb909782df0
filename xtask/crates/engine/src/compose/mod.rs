//! Docker Compose.

mod config;
mod project;
mod ps;

pub use crate::compose::config::{
    ComposeConfig, ComposeDependency, ComposeMount, ComposeResource, ComposeService, Lifetime, lifetime,
    with_dependencies,
};
pub use crate::compose::project::Project;
pub use crate::compose::ps::ComposeContainer;
