//! The program that a service is: its command line, its start, its end.

use std::fmt;
use std::process::ExitCode;

use axum::Router;

use crate::{Condition, Fields, Settings, healthcheck, log_lines, routes, server};

/// A service that has started.
pub struct Application {
    pub(crate) router: Router,
    health: Box<dyn Fn() -> Condition + Send + Sync>,
}

impl Application {
    /// A service with these routes; it is ready as long as nothing else is said by [`Application::health`].
    pub fn new(router: Router) -> Self {
        Self { router: routes::own(router), health: Box::new(|| Condition::Ready(Fields::default())) }
    }

    /// Asks `condition` at every `/health`; it must answer at once, from memory.
    #[must_use]
    pub fn health(mut self, condition: impl Fn() -> Condition + Send + Sync + 'static) -> Self {
        self.health = Box::new(condition);
        self
    }

    pub(crate) fn condition(&self) -> Condition {
        (self.health)()
    }
}

impl fmt::Debug for Application {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Application").finish_non_exhaustive()
    }
}

/// Why a service does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartError {
    /// The configuration is wrong (exit code 2).
    Configuration(String),
    /// Something the service needs is damaged, locked or not there (exit code 1).
    Environment(String),
}

impl StartError {
    fn message(&self) -> &str {
        let (Self::Configuration(message) | Self::Environment(message)) = self;
        message
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Configuration(_) => 2,
            Self::Environment(_) => 1,
        })
    }
}

impl From<crate::SettingsError> for StartError {
    fn from(error: crate::SettingsError) -> Self {
        Self::Configuration(error.0)
    }
}

/// Runs a service until it is told to stop; `main` returns what this returns.
///
/// Without arguments it listens at once (so that `/health` can say `starting`), calls `start` on a thread that may
/// block, and serves what `start` hands back. With the argument `healthcheck` it asks a running service on this host.
/// What `start` hands back is dropped before the process ends, after the last request.
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
        [word] if word == "healthcheck" => return check(&settings),
        _ => {
            eprintln!("usage: {service} [healthcheck]; everything else is set by the environment");
            return ExitCode::from(2);
        }
    }
    log_lines::start(service, settings.log_level);
    match server::serve(settings, start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(service, &error),
    }
}

fn check(settings: &Settings) -> ExitCode {
    match healthcheck(&settings.host, settings.port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn report(service: &'static str, error: &StartError) -> ExitCode {
    // Settings may be what is wrong: then nothing has started the log yet.
    log_lines::start(service, log::LevelFilter::Info);
    log::error!("{}", error.message());
    error.exit_code()
}
