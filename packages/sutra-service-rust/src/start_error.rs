//! Why a service cannot start.

use std::process::ExitCode;

use crate::settings::SettingsError;

/// A startup failure; decides the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartError {
    /// The configuration is invalid (exit code 2).
    Configuration(String),
    /// Something the service needs is damaged, locked or missing (exit code 1).
    Environment(String),
}

impl StartError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Configuration(_) => 2,
            Self::Environment(_) => 1,
        })
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Configuration(message) | Self::Environment(message)) = self;
        formatter.write_str(message)
    }
}

impl From<SettingsError> for StartError {
    fn from(error: SettingsError) -> Self {
        Self::Configuration(error.0)
    }
}
