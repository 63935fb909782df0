//! How fast a line is, in decimal bits a second: `100Mbit`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A rate in bits a second, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u64);

/// Decimal units, as providers of lines use them.
const UNITS: [(&str, u64); 3] = [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1_000)];

/// Why a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRate(String);

impl fmt::Display for BadRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no rate: write a whole number above 0 and one of kbit, Mbit, Gbit (a second), such as 100Mbit",
            self.0
        )
    }
}

impl std::error::Error for BadRate {}

impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(text: &str) -> Result<Rate, BadRate> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor =
            UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor);
        let bits =
            number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
        bits.filter(|bits| *bits > 0).map(Rate).ok_or_else(|| BadRate(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS.iter().find(|(_, factor)| self.0.is_multiple_of(*factor));
        match unit {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}bit", self.0),
        }
    }
}

impl Rate {
    /// Of a record's number; `None` for zero.
    pub fn of_bits(bits: u64) -> Option<Rate> {
        (bits > 0).then_some(Rate(bits))
    }

    /// Bits a second.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// How long so many bytes take.
    pub fn time_of(self, bytes: u64) -> Duration {
        let bits = u128::from(bytes) * 8;
        let rate = u128::from(self.0);
        let seconds = u64::try_from(bits / rate).unwrap_or(u64::MAX);
        let nanoseconds = u32::try_from(bits % rate * 1_000_000_000 / rate).unwrap_or_default();
        Duration::new(seconds, nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_as_it_is_written() {
        for (text, bits, written) in [
            ("100Mbit", 100_000_000, "100Mbit"),
            ("1000kbit", 1_000_000, "1Mbit"),
            ("2gbit", 2_000_000_000, "2Gbit"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.bits(), rate.to_string().as_str()), (bits, written));
        }
        for text in ["", "0Mbit", "100", "Mbit", "-1Mbit", "1.5Mbit", "100MB", "99999999999999999999kbit"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_take_their_time() {
        let rate: Rate = "8Mbit".parse().unwrap();
        assert_eq!(rate.time_of(1_000_000), Duration::from_secs(1));
        assert_eq!(rate.time_of(1_500_001), Duration::from_micros(1_500_001));
        assert_eq!(rate.time_of(u64::MAX / 2).as_secs(), u64::MAX / 2 / 1_000_000);
    }
}
