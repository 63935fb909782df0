//! Request limits.

use serde_json::{Value, json};
use sutra_service::{SettingsError, variable};

/// Maximum number of search results; part of the API, not a setting.
pub(crate) const MAX_RESULTS: usize = 100;

/// Maximum number of concepts in a page of the list.
pub(crate) const MAX_PAGE: usize = 1000;

/// Maximum length of an id or of a model's name, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// The limits of an edition; environment variables override them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `MAX_BODY_BYTES`: size of a request body; default 8, 16 or 32 MiB by edition.
    pub body_bytes: usize,
    /// `MAX_BATCH`: concepts per request; default 1000, 2000 or 5000 by edition.
    pub batch: usize,
    /// `MAX_TEXT_BYTES`: size of a concept's text or of a query; default 40,000, 80,000 or 200,000 by edition: four
    /// bytes for each character that `sutra-api` accepts.
    pub text_bytes: usize,
    /// `MAX_METADATA_BYTES`: size of a concept's metadata as JSON; default 16 KiB.
    pub metadata_bytes: usize,
    /// `MAX_DIMENSION`: numbers per vector; default 4096.
    pub dimension: usize,
}

impl Limits {
    /// Reads the environment. The error names the invalid variable.
    pub(crate) fn from_environment(edition: &str) -> Result<Self, SettingsError> {
        let default = Self::of(edition);
        Ok(Self {
            body_bytes: positive("MAX_BODY_BYTES", default.body_bytes)?,
            batch: positive("MAX_BATCH", default.batch)?,
            text_bytes: positive("MAX_TEXT_BYTES", default.text_bytes)?,
            metadata_bytes: positive("MAX_METADATA_BYTES", default.metadata_bytes)?,
            dimension: positive("MAX_DIMENSION", default.dimension)?,
        })
    }

    /// The defaults of an edition. A full batch of short texts with vectors of 384 numbers fits into the body.
    fn of(edition: &str) -> Self {
        let (body_bytes, batch, text_bytes) = match edition {
            "enterprise" => (32 << 20, 5000, 200_000),
            "community" => (16 << 20, 2000, 80_000),
            _ => (8 << 20, 1000, 40_000),
        };
        Self { body_bytes, batch, text_bytes, metadata_bytes: 16 << 10, dimension: 4096 }
    }

    /// The limits as `/health` shows them.
    pub(crate) fn fields(&self) -> Value {
        json!({
            "max_batch": self.batch,
            "max_body_bytes": self.body_bytes,
            "max_dimension": self.dimension,
            "max_metadata_bytes": self.metadata_bytes,
            "max_results": MAX_RESULTS,
            "max_text_bytes": self.text_bytes,
        })
    }
}

fn positive(name: &str, default: usize) -> Result<usize, SettingsError> {
    let value = variable::<std::num::NonZeroUsize>(name, "a whole number greater than 0")?;
    Ok(value.map_or(default, usize::from))
}

#[cfg(test)]
impl Limits {
    /// Limits small enough for tests to reach.
    pub(crate) fn small() -> Self {
        Self { body_bytes: 4096, batch: 3, text_bytes: 20, metadata_bytes: 30, dimension: 4 }
    }
}
