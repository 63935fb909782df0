//! What the environment says about this service beyond what every service reads.

use std::path::PathBuf;
use std::time::Duration;

use sutra_service::{SettingsError, variable};

use crate::address::Address;
use crate::backoff::Backoff;
use crate::limits::Limits;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    /// `DATA_DIR`: the folder that holds everything; default `/data`.
    pub folder: PathBuf,
    /// `HYBRID_URL`: who learns; default `http://sutra-hybrid:8001`.
    pub hybrid: Address,
    /// `HYBRID_TIMEOUT_SECONDS`: for one call to hybrid; default 120, since embedding a full batch takes a while.
    pub hybrid_timeout: Duration,
    /// `RETRY_FIRST_MILLISECONDS` and `RETRY_LONGEST_MILLISECONDS`: pauses between tries; default 200 and 30,000.
    pub backoff: Backoff,
    /// `UPLOAD_IDLE_SECONDS`: how long an upload may stand still; default 60.
    pub upload_idle: Duration,
    /// How much is too much.
    pub limits: Limits,
}

impl Configuration {
    /// Reads the environment; names the variable that cannot be used.
    pub(crate) fn from_environment(edition: &str) -> Result<Self, SettingsError> {
        let address = variable::<String>("HYBRID_URL", "an address")?;
        let address = address.as_deref().unwrap_or("http://sutra-hybrid:8001");
        // Where there is a user name there may be a password, and errors go to logs.
        let shown = if address.contains('@') { "(not shown)" } else { address };
        let hybrid = Address::parse(address)
            .map_err(|what| SettingsError(format!("HYBRID_URL={shown:?} cannot be used: {what}")))?;
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

/// Up to 32 bits: sums of such spans never overflow a point in time.
fn whole(name: &str, default: u64) -> Result<u64, SettingsError> {
    let value = variable::<std::num::NonZeroU32>(name, "a whole number above 0")?;
    Ok(value.map_or(default, |value| value.get().into()))
}
