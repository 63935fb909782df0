//! The stack of all services: starting it, its health, its secrets, and the record of what was deployed.

mod condition;
pub mod deployed;
pub mod health;
mod healthy;
pub mod logs;
pub mod names;
pub mod not_healthy;
mod project;
pub mod rollback;
pub mod secrets;
pub mod up;
mod watch;

pub use project::{containers, lock, project, with_placeholders};
