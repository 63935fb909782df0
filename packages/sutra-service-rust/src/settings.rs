//! Settings common to all services, read from the environment.

use std::fmt;
use std::str::FromStr;

/// An environment variable with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

const PORTS: &str = "a port from 0 to 65535";

/// Settings common to all services.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The service's name in the manifest, such as `storage`.
    pub service: &'static str,
    /// `HOST`: address to listen on; default 0.0.0.0.
    pub host: String,
    /// `PORT`: port to listen on; 0 picks a free port.
    pub port: u16,
    /// `METRICS_PORT`: port of the metrics, which are off by default.
    pub metrics_port: Option<u16>,
    /// `ALLOWED_HOSTS`: names, separated by commas, that the service answers to besides addresses, `localhost` and names
    /// without a dot; `.example.com` for all names below that one, `*` for any.
    pub allowed_hosts: String,
    /// `LOG_LEVEL`: error, warn (or warning), info (default), debug or trace.
    pub log_level: log::LevelFilter,
    /// `SUTRA_EDITION`; default `simple`.
    pub edition: String,
    /// `SUTRA_SERVICE_VERSION`; default `0.0.0`.
    pub version: String,
}

impl Settings {
    /// Reads the environment. An empty variable counts as unset.
    ///
    /// # Errors
    /// The first variable with an invalid value, with the values it may have.
    pub fn from_environment(service: &'static str, default_port: u16) -> Result<Self, SettingsError> {
        let edition: String = variable("SUTRA_EDITION", "simple, community or enterprise")?
            .unwrap_or_else(|| "simple".to_owned());
        if !["simple", "community", "enterprise"].contains(&edition.as_str()) {
            return Err(invalid("SUTRA_EDITION", &edition, "simple, community or enterprise"));
        }
        let port = variable("PORT", PORTS)?.unwrap_or(default_port);
        let metrics_port = variable("METRICS_PORT", PORTS)?;
        if port != 0 && metrics_port == Some(port) {
            return Err(invalid("METRICS_PORT", &port.to_string(), "a different port from the service's"));
        }
        Ok(Self {
            service,
            host: variable("HOST", "an address")?.unwrap_or_else(|| "0.0.0.0".to_owned()),
            port,
            metrics_port,
            allowed_hosts: variable("ALLOWED_HOSTS", "names separated by commas")?.unwrap_or_default(),
            log_level: log_level()?,
            edition,
            version: variable("SUTRA_SERVICE_VERSION", "a version")?.unwrap_or_else(|| "0.0.0".to_owned()),
        })
    }
}

/// `warn` and `warning` are the same in every service.
fn log_level() -> Result<log::LevelFilter, SettingsError> {
    let expected = "error, warn, info, debug or trace";
    if variable::<String>("LOG_LEVEL", expected)?.is_some_and(|level| level.eq_ignore_ascii_case("warning")) {
        return Ok(log::LevelFilter::Warn);
    }
    Ok(variable("LOG_LEVEL", expected)?.unwrap_or(log::LevelFilter::Info))
}

/// Reads an environment variable; `None` if it is unset or empty. `expected` completes "set it to ...".
///
/// # Errors
/// The value cannot be parsed. The message has the variable, its value and `expected`.
pub fn variable<T: FromStr>(name: &str, expected: &str) -> Result<Option<T>, SettingsError> {
    let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    value.trim().parse().map(Some).map_err(|_| invalid(name, &value, expected))
}

fn invalid(name: &str, value: &str, expected: &str) -> SettingsError {
    SettingsError(format!("invalid value: {name}={value:?}; set it to {expected}"))
}
