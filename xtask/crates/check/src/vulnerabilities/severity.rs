//! How severe a vulnerability is.

use serde::{Deserialize, Serialize};

/// Severities, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Not a vulnerability in practice: Debian's `unimportant`, RustSec's `unmaintained`, `unsound` and `notice`.
    Info,
    /// Low.
    Low,
    /// The source does not rate it. It may be as severe as any.
    Unknown,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

impl Severity {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Unknown => "unknown",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// From a rating in words, as npm and CVSS give it.
    pub(super) fn of_rating(word: &str) -> Severity {
        match word {
            "critical" => Severity::Critical,
            "high" => Severity::High,
            "moderate" | "medium" => Severity::Medium,
            "low" => Severity::Low,
            "info" | "none" => Severity::Info,
            _ => Severity::Unknown,
        }
    }

    /// From a CVSS vector of any version.
    pub(super) fn of_vector(vector: &str) -> Severity {
        match vector.parse::<cvss::Cvss>() {
            Ok(parsed) => Severity::of_rating(parsed.severity().as_str()),
            Err(_) => Severity::Unknown,
        }
    }
}

/// The least severity of a fixable vulnerability that fails the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailOn {
    /// Never.
    Never,
    /// This or more, or not rated.
    Least(Severity),
}

impl FailOn {
    /// Whether a severity fails the command.
    pub fn covers(self, severity: Severity) -> bool {
        match self {
            FailOn::Never => false,
            // What is not rated may be critical.
            FailOn::Least(least) => severity >= least || severity == Severity::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_rated() {
        for (vector, severity) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Severity::Critical),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Severity::High),
            ("CVSS:3.0/AV:L/AC:H/PR:N/UI:N/S:U/C:L/I:N/A:N", Severity::Low),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Severity::Critical),
            ("CVSS:9/AV:N", Severity::Unknown),
        ] {
            assert_eq!(Severity::of_vector(vector), severity, "{vector}");
        }
    }

    #[test]
    fn what_is_not_rated_may_be_as_severe_as_any() {
        for least in [Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
            assert!(FailOn::Least(least).covers(Severity::Unknown), "{least:?}");
            assert!(FailOn::Least(least).covers(least), "{least:?}");
            assert!(!FailOn::Least(least).covers(Severity::Info), "{least:?}");
        }
        assert!(!FailOn::Least(Severity::High).covers(Severity::Medium));
        assert!(!FailOn::Never.covers(Severity::Critical));
        assert!(!FailOn::Never.covers(Severity::Unknown));
    }
}
