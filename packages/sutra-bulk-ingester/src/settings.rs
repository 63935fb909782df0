//! Settings of this service, read from the environment.

use std::path::PathBuf;
use std::time::Duration;

use sutra_service::{Address, SettingsError, variable};

use crate::backoff::Backoff;
use crate::limits::Limits;

/// The settings of this service.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    /// `DATA_DIR`: data folder; default `/data`.
    pub folder: PathBuf,
    /// `HYBRID_URL`: address of hybrid; default `http://sutra-hybrid:8001`.
    pub hybrid: Address,
    /// `HYBRID_TIMEOUT_SECONDS`: timeout of a call to hybrid; default 120, because embedding a full batch takes a while.
    pub hybrid_timeout: Duration,
    /// `RETRY_FIRST_MILLISECONDS` and `RETRY_LONGEST_MILLISECONDS`: delays between retries; default 200 and 30,000.
    pub backoff: Backoff,
    /// `UPLOAD_IDLE_SECONDS`: maximum time without data from an upload; default 60.
    pub upload_idle: Duration,
    /// Limits of uploads and jobs.
    pub limits: Limits,
}

impl Configuration {
    /// Reads the environment. The error names the invalid variable.
    pub(crate) fn from_environment(edition: &str) -> Result<Self, SettingsError> {
        let address = variable::<String>("HYBRID_URL", "an address")?;
        let address = address.as_deref().unwrap_or("http://sutra-hybrid:8001");
        // A URL with a user name may contain a password, and errors are logged.
        let shown = if address.contains('@') { "(not shown)" } else { address };
        let hybrid = Address::parse(address)
            .map_err(|problem| SettingsError(format!("invalid value: HYBRID_URL={shown:?}: {problem}")))?;
        Ok(Self {
            folder: variable("DATA_DIR", "a folder")?.unwrap_or_else(|| "/data".into()),
            hybrid,
            hybrid_timeout: seconds("HYBRID_TIMEOUT_SECONDS", 120)?,
            backoff: Backoff {
                first: Duration::from_millis(whole("RETRY_FIRST_MILLISECONDS", 200)?),
                longest: Duration::from_millis(whole("RETRY_LONGEST_MILLISECONDS", 30_000)?),
            },
            upload_idle: seconds("UPLOAD_IDLE_SECONDS", 60)?,
            limits: Limits::from_environment(edition)?,
        })
    }
}

fn seconds(name: &str, default: u64) -> Result<Duration, SettingsError> {
    whole(name, default).map(Duration::from_secs)
}

/// Limited to 32 bits, so that adding the duration to a time cannot overflow.
fn whole(name: &str, default: u64) -> Result<u64, SettingsError> {
    let value = variable::<std::num::NonZeroU32>(name, "a whole number greater than 0")?;
    Ok(value.map_or(default, |value| value.get().into()))
}
