//! Sizes in bytes, formatted as docker does: decimal units, three significant digits.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};
use std::str::FromStr;

use host::failure::Failure;
use serde::{Deserialize, Serialize};

/// A size in bytes: an exact integer in JSON, `12.3MB` in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// Decimal units, as `docker images` and the guide use them.
const UNITS: [(&str, u64); 4] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];

impl Bytes {
    /// The percentage by which `self` is smaller than `whole`; `None` if `whole` is zero.
    pub fn saved_of(self, whole: Bytes) -> Option<f64> {
        (whole.0 > 0).then(|| (1.0 - self.0 as f64 / whole.0 as f64) * 100.0)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut index = UNITS.iter().position(|(_, factor)| self.0 >= *factor).unwrap_or(UNITS.len() - 1);
        if index == UNITS.len() - 1 {
            return f.pad(&format!("{}B", self.0));
        }
        // 999.7 kB would round to "1000kB": use the next unit.
        if (self.0 as f64 / UNITS[index].1 as f64) >= 999.5 && index > 0 {
            index -= 1;
        }
        let (unit, factor) = UNITS[index];
        let value = self.0 as f64 / factor as f64;
        let decimals = if value >= 99.95 {
            0
        } else if value >= 9.995 {
            1
        } else {
            2
        };
        let number = format!("{value:.decimals$}");
        let number = if decimals > 0 { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
        f.pad(&format!("{number}{unit}"))
    }
}

impl FromStr for Bytes {
    type Err = Failure;

    /// Parses `1.32GB`, `92.8 MB`, `450kB`, `12B`. Units are decimal and case-insensitive.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let bad = || {
            Failure::usage(format!(
                "invalid size `{text}`: use a number with B, kB, MB or GB (decimal), such as 92.8MB"
            ))
        };
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(bad)?;
        let (number, unit) = trimmed.split_at(split);
        let number = number.trim_end();
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(bad)?;
        exact(number, *factor).map(Bytes).ok_or_else(bad)
    }
}

/// `number * factor` without floating-point rounding: sizes are compared for equality.
fn exact(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || (number.contains('.') && !digits(fraction)) || fraction.len() > 9 {
        return None;
    }
    let scale = 10_u64.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let parts = fraction.checked_mul(factor)?;
    if !parts.is_multiple_of(scale) {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(parts / scale)
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0 + other.0)
    }
}

impl Sub for Bytes {
    type Output = Bytes;
    /// Saturates at zero.
    fn sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(iter: I) -> Bytes {
        iter.fold(Bytes(0), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_exactly() {
        for (text, bytes) in [
            ("1.32GB", 1_320_000_000),
            ("92.8MB", 92_800_000),
            ("450 MB", 450_000_000),
            ("12mb", 12_000_000),
            ("7B", 7),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn invalid_sizes_are_refused() {
        for text in
            ["", "12", "MB", "1.2.3MB", "-3MB", "1,5MB", "12MiB", "0.5B", "1.MB", "99999999999GB", "1e3MB"]
        {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_displayed_with_three_significant_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1kB"),
            (999_700, "1MB"),
            (12_345_678, "12.3MB"),
            (92_800_000, "92.8MB"),
            (168_000_000, "168MB"),
            (1_320_000_000, "1.32GB"),
            (99_960_000, "100MB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn displayed_sizes_can_be_parsed() {
        for bytes in [1_u64, 1_500, 12_300_000, 1_320_000_000] {
            assert_eq!(Bytes(bytes).to_string().parse(), Ok(Bytes(bytes)));
        }
    }
}
