//! The entry point of a service.

use std::process::ExitCode;

use axum::Router;

use crate::application::Application;
use crate::healthcheck::healthcheck;
use crate::server::Listen;
use crate::settings::Settings;
use crate::start_error::StartError;
use crate::{logging, server};

/// Runs a service until SIGTERM or SIGINT. `main` returns the exit code.
///
/// Without arguments, the service listens at once, so that `/health` can report `starting`, calls `start` on a blocking
/// thread and serves the application that it returns. The application is dropped after the last request, before the
/// process ends. With the argument `healthcheck`, it checks a service running on this machine instead.
pub fn run(
    service: &'static str,
    default_port: u16,
    start: impl FnOnce(&Settings) -> Result<Application, StartError> + Send + 'static,
) -> ExitCode {
    let settings = match Settings::from_environment(service, default_port) {
        Ok(settings) => settings,
        Err(error) => return report(service, &error.into()),
    };
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [] => {}
        [word] if word == "healthcheck" => return check(&settings.host, settings.port),
        _ => {
            eprintln!("usage: {service} [healthcheck]\nConfigure the service with environment variables.");
            return ExitCode::from(2);
        }
    }
    logging::start(service, settings.log_level);
    match server::serve(settings, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(service, &error),
    }
}

/// Runs a server with routes of its own until SIGTERM, SIGINT or SIGQUIT; adds nothing to its routes. `main` returns the exit code.
pub fn run_routes(
    service: &'static str,
    log_level: log::LevelFilter,
    listen: &Listen,
    router: Router,
) -> ExitCode {
    logging::start(service, log_level);
    match server::serve_routes(listen, router) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(service, &error),
    }
}

/// The argument `healthcheck`: checks the service that listens on `host` and `port` of this machine. `main` returns the exit code.
pub fn check(host: &str, port: u16) -> ExitCode {
    match healthcheck(host, port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// Logs why a service cannot start. `main` returns the exit code.
pub fn report(service: &'static str, error: &StartError) -> ExitCode {
    // If the settings are invalid, logging has not started yet.
    logging::start(service, log::LevelFilter::Info);
    log::error!("{error}");
    error.exit_code()
}
