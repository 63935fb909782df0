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
const WEEK: u64 = 7 * DAY;
/// 1970-01-05, the first Monday.
const FIRST_MONDAY: u64 = 4 * DAY;

/// The earliest accepted time of packages, as `2026-01-05` or `2026-01-05T10:30:00Z`. Ordered by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageDate(String);

/// How to choose a [`PackageDate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageDateChoice {
    /// The start of the current period of this length, counted from a Monday, or the last refresh if that was later.
    MaxAge(Duration),
    /// Now.
    Refresh,
    /// This date.
    Given(PackageDate),
}

/// This week: Monday, or the last refresh if that was later.
impl Default for PackageDateChoice {
    fn default() -> PackageDateChoice {
        PackageDateChoice::MaxAge(Duration::from_secs(WEEK))
    }
}

impl PackageDate {
    /// The start of the period of this length that contains a time. Periods are counted from a fixed Monday, so that all machines use the
    /// same date.
    fn of_period(now: SystemTime, length: Duration) -> PackageDate {
        let since = seconds(now).saturating_sub(FIRST_MONDAY);
        let start = FIRST_MONDAY + since - since % length.as_secs().max(1);
        let at = PackageDate::at(time(start));
        let midnight = at.0.strip_suffix("T00:00:00Z").map(str::to_owned);
        midnight.map_or(at, PackageDate)
    }

    /// The Monday of its week.
    pub(crate) fn week(&self) -> PackageDate {
        PackageDate::of_period(self.time(), Duration::from_secs(WEEK))
    }

    /// The Mondays from this date until a time, newest first. If there are more than `most`, keeps the newest ones and the oldest.
    pub(crate) fn weeks_until(&self, now: SystemTime, most: usize) -> Vec<PackageDate> {
        let newest = PackageDate::at(now).week();
        let mondays = std::iter::successors(Some(newest), |monday| {
            Some(PackageDate::at(monday.time().checked_sub(Duration::from_secs(1))?).week())
        });
        let mut weeks: Vec<PackageDate> =
            mondays.take_while(|monday| monday >= self).take(most.saturating_sub(1)).collect();
        let oldest = self.week();
        if oldest >= *self && !weeks.contains(&oldest) {
            weeks.push(oldest);
        }
        weeks
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
    Ok(match choice {
        PackageDateChoice::Given(date) => date.clone(),
        PackageDateChoice::Refresh => PackageDate::at(now),
        PackageDateChoice::MaxAge(length) => {
            let period = PackageDate::of_period(now, *length);
            let text = files::read_if_there(&repository.package_refresh())?.unwrap_or_default();
            let last = PackageDate(text.trim().to_owned());
            // A clock that was set back does not keep a refresh forever.
            let is_valid = humantime::parse_rfc3339(&last.0).is_ok_and(|at| at <= now);
            if is_valid { period.max(last) } else { period }
        }
    })
}

/// Parses an age such as `7d` or `12h`.
///
/// # Errors
/// When the text is not an age, or the age is less than a minute.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let age = humantime::parse_duration(text).ok().filter(|age| age.as_secs() >= 60);
    age.ok_or_else(|| format!("invalid age `{text}`: use at least 1 minute, such as 7d or 12h"))
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
            let week = Duration::from_secs(WEEK);
            assert_eq!(PackageDate::of_period(at(now), week).as_str(), monday, "{now}");
            assert_eq!(PackageDate::at(at(now)).week().as_str(), monday, "{now}");
        }
    }

    #[test]
    fn periods_of_other_lengths_start_together_everywhere() {
        let start = |age: &str| {
            let age = parse_age(age).unwrap();
            PackageDate::of_period(at("2026-01-07T13:20:30Z"), age).as_str().to_owned()
        };
        for (age, date) in [
            ("7d", "2026-01-05"),
            ("1d", "2026-01-07"),
            ("12h", "2026-01-07T12:00:00Z"),
            ("1m", "2026-01-07T13:20:00Z"),
            ("1000000d", "1970-01-05"),
        ] {
            assert_eq!(start(age), date, "{age}");
        }
        for wrong in ["", "7", "0s", "59s", "-1d", "week"] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn weeks_are_counted_back_to_a_date() {
        let weeks = |since: &str| {
            let since = PackageDate::recorded(since).unwrap();
            let weeks = since.weeks_until(at("2026-01-14T10:00:00Z"), 3);
            weeks.iter().map(|week| week.as_str().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(weeks("2026-01-12"), "2026-01-12");
        assert_eq!(weeks("2026-01-05"), "2026-01-12 2026-01-05");
        assert_eq!(weeks("2026-01-06"), "2026-01-12");
        assert_eq!(weeks("2026-01-12T00:00:01Z"), "", "a week may have older packages");
        assert_eq!(weeks("2020-01-06"), "2026-01-12 2026-01-05 2020-01-06");
        assert_eq!(weeks("2020-01-07"), "2026-01-12 2026-01-05");
    }

    #[test]
    fn a_refresh_counts_until_the_next_week() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("xtask")).unwrap();
        std::fs::write(folder.path().join("xtask/images.toml"), "").unwrap();
        let repository = Repository::locate(Some(folder.path())).unwrap();
        let choose = |choice: PackageDateChoice, now: &str| choose(&choice, at(now), &repository).unwrap().0;
        let plain = |now: &str| choose(PackageDateChoice::default(), now);
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
