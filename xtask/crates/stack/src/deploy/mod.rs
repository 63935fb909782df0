//! The stack of all services: starting it, its health, its secrets, and the record of what was deployed.

pub mod deployed;
pub mod health;
pub mod logs;
mod project;
pub mod secrets;
pub mod up;

pub use project::{containers, project, with_placeholders};
