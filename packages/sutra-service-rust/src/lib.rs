//! Shared by all Rust services of Sutra.
//!
//! A service opens what it needs and returns its routes as an [`Application`]; [`run`] does the rest: settings from the
//! environment, `/health`, JSON errors, JSON logs, request ids, metrics and graceful shutdown.

mod address;
mod application;
mod bodies;
mod calls;
mod connections;
mod discard;
mod error;
mod fallback;
mod health;
mod healthcheck;
mod hosts;
mod json;
mod logging;
mod metrics;
mod process_metrics;
mod program;
mod request_id;
mod request_metrics;
mod routes;
mod samples;
mod server;
mod settings;
mod start_error;
mod timestamp;

pub use address::Address;
pub use application::Application;
pub use calls::Calls;
pub use discard::discard;
pub use error::ApiError;
pub use health::{Health, HealthFields};
pub use healthcheck::healthcheck;
pub use hosts::has_valid_host;
pub use json::Json;
pub use logging::print_line;
pub use program::{check, report, run, run_routes};
pub use request_id::{REQUEST_ID, current_id, identify, in_request};
pub use samples::Samples;
pub use server::Listen;
pub use settings::{Settings, SettingsError, variable};
pub use start_error::StartError;
pub use timestamp::now as timestamp;
