//! Docker Compose.

mod config;
mod project;
mod ps;

pub use crate::compose::config::{
    ComposeConfig, ComposeDependency, ComposeMount, ComposeResource, ComposeService, is_one_shot,
    with_dependencies,
};
pub use crate::compose::project::Project;
pub use crate::compose::ps::ComposeContainer;
