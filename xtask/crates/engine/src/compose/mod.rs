//! Docker Compose.

pub mod cluster;
mod config;
mod files;
mod input;
mod project;
mod ps;

pub use crate::compose::config::{
    ComposeBuild, ComposeConfig, ComposeConfigMount, ComposeDependency, ComposeHealthcheck, ComposeMount,
    ComposeResource, ComposeService, Lifetime, lifetime, with_dependencies,
};
pub(crate) use crate::compose::files::OVERRIDES;
pub use crate::compose::files::{MAIN_FILES, default_files, folder_of};
pub use crate::compose::input::ComposeInput;
pub use crate::compose::project::Project;
pub(crate) use crate::compose::project::{PLACEHOLDER, required_variable};
pub use crate::compose::ps::ComposeContainer;
