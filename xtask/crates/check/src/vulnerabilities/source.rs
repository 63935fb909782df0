//! The sources of advisories: their names, where they are, and what came of asking them.

use serde::{Deserialize, Serialize};

use crate::vulnerabilities::component::Ecosystem;

/// Where advisories come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceName {
    /// Debian's security tracker.
    DebianTracker,
    /// Debian's archive: newer packages, and the CVEs that their changelogs name.
    DebianArchive,
    /// The RustSec advisory database, which cargo audit reads.
    Rustsec,
    /// PyPI's advisories, which pip-audit reads.
    Pypi,
    /// The npm registry's advisories, which npm audit reads.
    Npm,
}

impl SourceName {
    /// All sources, the most detailed first.
    pub const ALL: [SourceName; 5] = [
        SourceName::DebianTracker,
        SourceName::DebianArchive,
        SourceName::Rustsec,
        SourceName::Pypi,
        SourceName::Npm,
    ];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            SourceName::DebianTracker => "debian-tracker",
            SourceName::DebianArchive => "debian-archive",
            SourceName::Rustsec => "rustsec",
            SourceName::Pypi => "pypi",
            SourceName::Npm => "npm",
        }
    }

    /// What it knows about.
    pub fn ecosystem(self) -> Ecosystem {
        match self {
            SourceName::DebianTracker | SourceName::DebianArchive => Ecosystem::Debian,
            SourceName::Rustsec => Ecosystem::Crates,
            SourceName::Pypi => Ecosystem::Python,
            SourceName::Npm => Ecosystem::Npm,
        }
    }

    /// Where it is by default, in words if this machine's tools decide.
    pub fn default_location(self) -> &'static str {
        match self {
            SourceName::DebianTracker => "https://security-tracker.debian.org/tracker/data/json",
            SourceName::DebianArchive => "apt, in a build",
            SourceName::Rustsec => "https://github.com/RustSec/advisory-db/archive/refs/heads/main.tar.gz",
            SourceName::Pypi => "pip's index",
            SourceName::Npm => "npm's registry",
        }
    }

    /// Whether `--source` can replace it. The archive is queried by apt in a build, so it cannot.
    pub fn can_be_elsewhere(self) -> bool {
        self != SourceName::DebianArchive
    }

    /// Whether a file or folder of this machine can take its place.
    pub fn takes_files(self) -> bool {
        matches!(self, SourceName::DebianTracker | SourceName::Rustsec)
    }
}

/// What came of asking a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum SourceState {
    /// It answered about every component.
    Answered {
        /// How old its data is in days, if it says so.
        age_days: Option<u64>,
    },
    /// It could not be asked; an earlier answer was used.
    Copy {
        /// How old that is in days.
        age_days: u64,
        /// Why it could not be asked.
        why: String,
    },
    /// It answered about some components only.
    Partial {
        /// How many it knows nothing about.
        unanswered: usize,
        /// Why.
        why: String,
    },
    /// It could not be asked.
    Unavailable {
        /// Why.
        why: String,
    },
    /// No image has anything that it knows about.
    NotNeeded,
}

/// Copies and files older than this leave a gap: most fixes are published within days.
pub const MAX_AGE_DAYS: u64 = 7;

/// A source and what came of asking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceReport {
    /// The source.
    pub source: SourceName,
    /// Where it is: a URL, or a path on this machine.
    pub location: String,
    /// How many components it was asked about.
    pub components: usize,
    /// What came of it.
    #[serde(flatten)]
    pub state: SourceState,
}

impl SourceReport {
    /// Whether there may be vulnerabilities that the report does not list.
    pub fn is_gap(&self) -> bool {
        match &self.state {
            SourceState::NotNeeded => false,
            SourceState::Answered { age_days } => age_days.is_some_and(|days| days > MAX_AGE_DAYS),
            SourceState::Copy { age_days, .. } => *age_days > MAX_AGE_DAYS,
            SourceState::Partial { .. } | SourceState::Unavailable { .. } => true,
        }
    }

    /// The state in words.
    pub fn state_text(&self) -> String {
        let days = |count: u64| match count {
            0 => "of today".to_owned(),
            1 => "1 day old".to_owned(),
            count => format!("{count} days old"),
        };
        match &self.state {
            SourceState::Answered { age_days: None } => "answered".to_owned(),
            SourceState::Answered { age_days: Some(age) } => format!("answered, data {}", days(*age)),
            SourceState::Copy { age_days, why } => format!("copy {}; unavailable: {why}", days(*age_days)),
            SourceState::Partial { unanswered, why } => format!("{unanswered} unanswered: {why}"),
            SourceState::Unavailable { why } => format!("unavailable: {why}"),
            SourceState::NotNeeded => "not needed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_data_and_silence_are_gaps() {
        let gap = |state| {
            SourceReport { source: SourceName::Rustsec, location: String::new(), components: 1, state }
                .is_gap()
        };
        let why = || "x".to_owned();
        assert!(gap(SourceState::Unavailable { why: why() }));
        assert!(gap(SourceState::Partial { unanswered: 1, why: why() }));
        assert!(gap(SourceState::Copy { age_days: 8, why: why() }));
        assert!(!gap(SourceState::Copy { age_days: 7, why: why() }));
        assert!(gap(SourceState::Answered { age_days: Some(400) }));
        assert!(!gap(SourceState::Answered { age_days: None }) && !gap(SourceState::NotNeeded));
    }
}
