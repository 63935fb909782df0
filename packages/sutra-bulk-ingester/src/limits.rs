//! Upload and job limits.

use serde::Deserialize;
use serde_json::{Value, json};
use sutra_service::{SettingsError, variable};

/// Maximum number of bad lines listed per job; the rest are only counted.
pub(crate) const MAX_LISTED_BAD_LINES: usize = 100;

/// Maximum number of jobs in a response of `GET /v1/jobs`; part of the API, not a setting.
pub(crate) const MAX_LISTED_JOBS: usize = 100;

/// Bytes of a body for hybrid besides the texts: `{"texts":[]}`.
const BODY_OVERHEAD: usize = 12;

/// The limits of an edition; environment variables override them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `MAX_UPLOAD_BYTES`: size of an upload; default 256 MiB, 1 GiB or 4 GiB by edition.
    pub upload_bytes: u64,
    /// `MIN_UPLOAD_BYTES_PER_SECOND`: how fast an upload must be in the long run; default 16,384.
    pub upload_rate: u64,
    /// `MAX_LINE_BYTES`: size of a JSON line or CSV row, which is held in memory; default 1, 2 or 4 MiB by edition.
    pub line_bytes: usize,
    /// `MAX_QUEUED_JOBS`: active jobs and uploads in progress; default 16, 64 or 256 by edition.
    pub queued_jobs: usize,
    /// `MAX_ENDED_JOBS`: ended jobs that are kept; default 200.
    pub ended_jobs: usize,
    /// `MAX_BATCH_TEXTS`: texts per call to hybrid, if hybrid allows as many; default 1,000.
    pub batch_texts: usize,
    /// `MAX_BATCH_BYTES`: size of the texts per call to hybrid, as JSON, if hybrid allows as much; default 0.9, 2 or 4 MB
    /// by edition. A larger text is sent alone.
    pub batch_bytes: usize,
    /// `MAX_TEXT_CHARACTERS`: length of a text, if hybrid allows as much; default 100,000, 200,000 or 500,000 by edition.
    pub text_characters: usize,
}

/// Hybrid's limits of a request, as its `/health` shows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct HybridLimits {
    max_texts: Option<usize>,
    max_text_characters: Option<usize>,
    max_body_bytes: Option<usize>,
}

impl Limits {
    /// Reads the environment. The error names the invalid variable.
    pub(crate) fn from_environment(edition: &str) -> Result<Self, SettingsError> {
        let default = Self::of(edition);
        Ok(Self {
            upload_bytes: positive("MAX_UPLOAD_BYTES", default.upload_bytes)?,
            upload_rate: positive("MIN_UPLOAD_BYTES_PER_SECOND", default.upload_rate)?,
            line_bytes: size("MAX_LINE_BYTES", default.line_bytes)?,
            queued_jobs: size("MAX_QUEUED_JOBS", default.queued_jobs)?,
            ended_jobs: size("MAX_ENDED_JOBS", default.ended_jobs)?,
            batch_texts: size("MAX_BATCH_TEXTS", default.batch_texts)?,
            batch_bytes: size("MAX_BATCH_BYTES", default.batch_bytes)?,
            text_characters: size("MAX_TEXT_CHARACTERS", default.text_characters)?,
        })
    }

    /// The defaults of an edition.
    pub(crate) fn of(edition: &str) -> Self {
        let simple = Self {
            upload_bytes: 256 << 20,
            upload_rate: 16 << 10,
            line_bytes: 1 << 20,
            queued_jobs: 16,
            ended_jobs: 200,
            batch_texts: 1000,
            batch_bytes: 900_000,
            text_characters: 100_000,
        };
        match edition {
            "enterprise" => Self {
                upload_bytes: 4 << 30,
                line_bytes: 4 << 20,
                queued_jobs: 256,
                batch_bytes: 4_000_000,
                text_characters: 500_000,
                ..simple
            },
            "community" => Self {
                upload_bytes: 1 << 30,
                line_bytes: 2 << 20,
                queued_jobs: 64,
                batch_bytes: 2_000_000,
                text_characters: 200_000,
                ..simple
            },
            _ => simple,
        }
    }

    /// These limits, lowered to what hybrid accepts.
    pub(crate) fn within(&self, hybrid: &HybridLimits) -> Self {
        let lower = |own: usize, other: Option<usize>| own.min(other.unwrap_or(own)).max(1);
        let texts = hybrid.max_body_bytes.map(|bytes| bytes.saturating_sub(BODY_OVERHEAD));
        Self {
            batch_texts: lower(self.batch_texts, hybrid.max_texts),
            batch_bytes: lower(self.batch_bytes, texts),
            text_characters: lower(self.text_characters, hybrid.max_text_characters),
            ..self.clone()
        }
    }

    /// The limits as `/health` shows them.
    pub(crate) fn fields(&self) -> Value {
        json!({
            "max_batch_bytes": self.batch_bytes,
            "max_batch_texts": self.batch_texts,
            "max_ended_jobs": self.ended_jobs,
            "max_line_bytes": self.line_bytes,
            "max_listed_bad_lines": MAX_LISTED_BAD_LINES,
            "max_queued_jobs": self.queued_jobs,
            "max_text_characters": self.text_characters,
            "max_upload_bytes": self.upload_bytes,
            "min_upload_bytes_per_second": self.upload_rate,
        })
    }
}

fn positive(name: &str, default: u64) -> Result<u64, SettingsError> {
    let value = variable::<std::num::NonZeroU64>(name, "a whole number greater than 0")?;
    Ok(value.map_or(default, u64::from))
}

fn size(name: &str, default: usize) -> Result<usize, SettingsError> {
    let value = variable::<std::num::NonZeroUsize>(name, "a whole number greater than 0")?;
    Ok(value.map_or(default, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_may_lower_limits_but_not_raise_them() {
        let own = Limits { batch_texts: 50, batch_bytes: 500, text_characters: 100, ..Limits::of("simple") };
        let within = |hybrid: &str| own.within(&serde_json::from_str(hybrid).expect("limits"));
        assert_eq!(within("{}"), own);
        let more = within(
            "{\"max_texts\":51,\"max_body_bytes\":1000,\"max_text_characters\":101,\"max_results\":5}",
        );
        assert_eq!(more, own);
        let less = within("{\"max_texts\":49,\"max_body_bytes\":500,\"max_text_characters\":99}");
        assert_eq!(less, Limits { batch_texts: 49, batch_bytes: 488, text_characters: 99, ..own.clone() });
        let nothing = within("{\"max_texts\":0,\"max_body_bytes\":5}");
        assert_eq!((nothing.batch_texts, nothing.batch_bytes), (1, 1));
    }
}
