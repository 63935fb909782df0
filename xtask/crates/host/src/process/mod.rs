//! The only spawner of processes.

mod background;
mod command;
pub(crate) mod error;
mod expression;
pub(crate) mod groups;
mod pipe;
mod quote;
mod run;
mod running;
mod serve;
mod started;
mod stream;
mod watched;

pub use crate::process::background::Background;
pub use crate::process::command::{Cmd, Runner};
pub use crate::process::error::ProcessError;
pub use crate::process::quote::tail;
pub use crate::process::run::{Forwarded, Output, find};
pub use crate::process::running::is_running;
pub use crate::process::started::Started;
