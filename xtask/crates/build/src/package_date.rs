//! How long builds reuse network steps. Each step that gets Debian packages for an image declares the build argument
//! [`ARGUMENT`], so that it runs again when the value changes: once a week, or on request. Within the week, all machines pass
//! the same value and share caches. No image contains the value: new packages change an image, a new value does not.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use host::files;
use host::paths::Repository;

/// The build argument.
pub const ARGUMENT: &str = "PACKAGES_AS_OF";

const DAY: u64 = 24 * 60 * 60;
const PERIOD_DAYS: u64 = 7;
/// 1970-01-01 was a Thursday, three days after a Monday.
const DAYS_SINCE_MONDAY: u64 = 3;

/// The time since when packages are wanted, as `2026-01-05` or `2026-01-05T10:30:00Z`. Ordered by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageDate(String);

/// How to choose a [`PackageDate`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PackageDateChoice {
    /// Monday of this week, or the last refresh if that was later.
    #[default]
    Period,
    /// Now.
    Refresh,
    /// This date.
    Given(PackageDate),
}

impl PackageDate {
    /// The Monday at or before a time.
    fn of_period(now: SystemTime) -> PackageDate {
        let days = seconds(now) / DAY;
        let monday = days.saturating_sub((days + DAYS_SINCE_MONDAY) % PERIOD_DAYS);
        let text = humantime::format_rfc3339_seconds(time(monday * DAY)).to_string();
        PackageDate(text.split('T').next().unwrap_or(&text).to_owned())
    }

    /// A time to the second.
    fn at(now: SystemTime) -> PackageDate {
        PackageDate(humantime::format_rfc3339_seconds(time(seconds(now))).to_string())
    }

    /// A recorded date or time; `None` if the text is neither.
    pub(crate) fn recorded(text: &str) -> Option<PackageDate> {
        text.parse()
            .ok()
            .or_else(|| humantime::parse_rfc3339(text).ok().map(|_| PackageDate(text.to_owned())))
    }

    /// The value of the build argument.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Midnight of a date, in UTC.
    pub fn time(&self) -> SystemTime {
        let text = if self.0.contains('T') { self.0.clone() } else { format!("{}T00:00:00Z", self.0) };
        humantime::parse_rfc3339(&text).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

impl FromStr for PackageDate {
    type Err = String;

    fn from_str(text: &str) -> Result<PackageDate, String> {
        let is_date = text.len() == "2026-01-05".len();
        match humantime::parse_rfc3339(&format!("{text}T00:00:00Z")) {
            Ok(_) if is_date => Ok(PackageDate(text.to_owned())),
            _ => Err(format!("`{text}` is not a date such as 2026-01-05")),
        }
    }
}

/// Chooses the date of a run.
///
/// # Errors
/// When the record of the last refresh cannot be read.
pub fn choose(choice: &PackageDateChoice, now: SystemTime, repository: &Repository) -> Result<PackageDate> {
    let period = PackageDate::of_period(now);
    Ok(match choice {
        PackageDateChoice::Given(date) => date.clone(),
        PackageDateChoice::Refresh => PackageDate::at(now),
        PackageDateChoice::Period => {
            let text = files::read_if_there(&repository.package_refresh())?.unwrap_or_default();
            let last = PackageDate(text.trim().to_owned());
            // A clock that was set back does not keep a refresh forever.
            let is_valid = humantime::parse_rfc3339(&last.0).is_ok_and(|at| at <= now);
            if is_valid { period.max(last) } else { period }
        }
    })
}

/// Keeps the date of a refresh: later builds of this week must not fall back to older packages.
///
/// # Errors
/// When it cannot be written.
pub fn remember_refresh(date: &PackageDate, repository: &Repository) -> Result<()> {
    files::write_atomically(&repository.package_refresh(), date.0.as_bytes())
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn time(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn a_period_is_a_week_from_monday() {
        for (now, monday) in [
            ("2026-01-04T23:59:59Z", "2025-12-29"),
            ("2026-01-05T00:00:00Z", "2026-01-05"),
            ("2026-01-11T23:59:59Z", "2026-01-05"),
            ("2026-01-12T00:00:00Z", "2026-01-12"),
            ("2028-02-29T12:00:00Z", "2028-02-28"),
        ] {
            assert_eq!(PackageDate::of_period(at(now)).as_str(), monday, "{now}");
        }
    }

    #[test]
    fn a_refresh_counts_until_the_next_week() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("xtask")).unwrap();
        std::fs::write(folder.path().join("xtask/images.toml"), "").unwrap();
        let repository = Repository::locate(Some(folder.path())).unwrap();
        let choose = |choice: PackageDateChoice, now: &str| choose(&choice, at(now), &repository).unwrap().0;
        let plain = |now: &str| choose(PackageDateChoice::Period, now);
        assert_eq!(plain("2026-01-07T10:00:00Z"), "2026-01-05");
        let refreshed = choose(PackageDateChoice::Refresh, "2026-01-07T10:00:00Z");
        assert_eq!(refreshed, "2026-01-07T10:00:00Z");
        assert_eq!(plain("2026-01-07T11:00:00Z"), "2026-01-05", "only a build that ran is remembered");
        remember_refresh(&PackageDate(refreshed.clone()), &repository).unwrap();
        assert_eq!(plain("2026-01-07T11:00:00Z"), refreshed);
        assert_eq!(plain("2026-01-11T11:00:00Z"), refreshed);
        assert_eq!(plain("2026-01-12T00:00:00Z"), "2026-01-12");
        assert_eq!(plain("2026-01-06T00:00:00Z"), "2026-01-05", "the clock was set back");
        let given = PackageDateChoice::Given("2025-06-01".parse().unwrap());
        assert_eq!(choose(given, "2026-01-07T11:00:00Z"), "2025-06-01");
    }

    #[test]
    fn only_dates_are_dates() {
        for text in ["", "2026-1-5", "2026-13-01", "2026-01-05T00", "today", "2026-01-05x"] {
            assert!(text.parse::<PackageDate>().is_err(), "{text}");
        }
        let date: PackageDate = "2026-01-05".parse().unwrap();
        assert_eq!(date.time(), at("2026-01-05T00:00:00Z"));
        assert!(date < PackageDate::at(at("2026-01-05T00:00:01Z")));
    }
}
