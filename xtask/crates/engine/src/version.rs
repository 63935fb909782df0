//! Versions of tools, for minimum requirements.

use std::fmt;

use serde::{Serialize, Serializer};

/// `major.minor.patch` of a version such as `26.1.5+dfsg1` or `v0.13.1`; the rest is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major number.
    pub major: u32,
    /// Minor number; 0 if missing.
    pub minor: u32,
    /// Patch number; 0 if missing.
    pub patch: u32,
}

impl Version {
    /// `major.minor.0`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Version { major, minor, patch: 0 }
    }

    /// The first version in a text.
    pub fn find(text: &str) -> Option<Version> {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let mut numbers = text[start..].splitn(4, '.').map_while(|part| {
            let digits: &str = &part[..part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len())];
            digits.parse::<u32>().ok()
        });
        Some(Version {
            major: numbers.next()?,
            minor: numbers.next().unwrap_or(0),
            patch: numbers.next().unwrap_or(0),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.major, self.minor, self.patch))
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_output() {
        let found = |text: &str| Version::find(text).map(|v| (v.major, v.minor, v.patch));
        assert_eq!(found("26.1.5+dfsg1"), Some((26, 1, 5)));
        assert_eq!(found("v0.13.1+ds1"), Some((0, 13, 1)));
        assert_eq!(found("github.com/docker/buildx 0.13.1+ds1-3 "), Some((0, 13, 1)));
        assert_eq!(found("2.26.1-4"), Some((2, 26, 1)));
        assert_eq!(found("28"), Some((28, 0, 0)));
        assert_eq!(found("unknown"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(Version::find("0.9") < Version::find("0.13"));
    }
}
