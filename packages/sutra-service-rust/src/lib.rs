//! Shared by all Rust services of Sutra.
//!
//! A service opens what it needs and returns its routes as an [`Application`]; [`run`] does the rest: settings from the
//! environment, `/health`, JSON errors, JSON logs and graceful shutdown.

mod application;
mod bodies;
mod connections;
mod error;
mod fallback;
mod health;
mod healthcheck;
mod hosts;
mod json;
mod logging;
mod program;
mod routes;
mod server;
mod settings;
mod start_error;
mod timestamp;

pub use application::Application;
pub use error::ApiError;
pub use health::{Health, HealthFields};
pub use healthcheck::healthcheck;
pub use json::Json;
pub use program::run;
pub use settings::{Settings, SettingsError, variable};
pub use start_error::StartError;
pub use timestamp::now as timestamp;
