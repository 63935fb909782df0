//! What every Rust service of Sutra shares.
//!
//! A service describes itself, opens what it needs and hands over its routes; [`run`] does the rest: settings from the
//! environment, `/health`, one JSON shape for every error, one JSON line for every log record, and a stop that is
//! graceful and in time.

mod error;
mod health;
mod healthcheck;
mod json;
mod log_lines;
mod program;
mod routes;
mod server;
mod settings;
mod timestamp;

pub use error::ApiError;
pub use health::{Condition, Fields};
pub use healthcheck::healthcheck;
pub use json::Json;
pub use program::{Application, StartError, run};
pub use settings::{Settings, SettingsError, variable};
pub use timestamp::now as timestamp;
