//! How much one request may ask for.

use sutra_service::{SettingsError, variable};

/// Results of one search at most; part of the contract, not a setting.
pub(crate) const MAX_RESULTS: usize = 100;

/// The longest id, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// Limits set by the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `MAX_BODY_BYTES`: a request's body; default 8 MiB.
    pub body_bytes: usize,
    /// `MAX_BATCH`: concepts in one request; default 1000.
    pub batch: usize,
    /// `MAX_TEXT_BYTES`: a concept's text or a query; default 64 KiB.
    pub text_bytes: usize,
    /// `MAX_METADATA_BYTES`: a concept's metadata as JSON; default 16 KiB.
    pub metadata_bytes: usize,
    /// `MAX_DIMENSION`: numbers in a vector; default 4096.
    pub dimension: usize,
}

impl Limits {
    /// Reads the environment; names the variable that cannot be used.
    pub(crate) fn from_environment() -> Result<Self, SettingsError> {
        Ok(Self {
            body_bytes: positive("MAX_BODY_BYTES", 8 << 20)?,
            batch: positive("MAX_BATCH", 1000)?,
            text_bytes: positive("MAX_TEXT_BYTES", 64 << 10)?,
            metadata_bytes: positive("MAX_METADATA_BYTES", 16 << 10)?,
            dimension: positive("MAX_DIMENSION", 4096)?,
        })
    }
}

fn positive(name: &str, default: usize) -> Result<usize, SettingsError> {
    let value = variable::<std::num::NonZeroUsize>(name, "a whole number above 0")?;
    Ok(value.map_or(default, usize::from))
}

#[cfg(test)]
impl Limits {
    /// Small limits, so that tests reach them.
    pub(crate) fn small() -> Self {
        Self { body_bytes: 4096, batch: 3, text_bytes: 20, metadata_bytes: 30, dimension: 4 }
    }
}
