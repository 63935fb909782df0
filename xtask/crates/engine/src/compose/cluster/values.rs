//! Values as `docker compose config` prints them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A string that may be secret. Debug output hides it.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The string. The caller is responsible for where it is written.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Hidden {
        Hidden(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Reads a value that some Compose versions print as a string and others as a number.
pub(super) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(Option::<Either>::deserialize(deserializer)?.map(|found| match found {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    }))
}

/// Reads null as the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Units of Go durations, in nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
    ("d", 86_400e9),
];

/// Parses a duration as Compose prints it, such as `1m30s`; `None` if it is invalid.
pub fn duration(text: &str) -> Option<Duration> {
    let (mut rest, mut nanoseconds) = (text, 0.0);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let unit = UNITS.iter().find(|(name, _)| *name == &after[..letters])?;
        nanoseconds += rest[..digits].parse::<f64>().ok()? * unit.1;
        rest = &after[letters..];
    }
    (!text.is_empty()).then(|| Duration::from_nanos(nanoseconds.round() as u64))
}

/// The path and size in bytes of a `tmpfs` entry, such as `/tmp:size=64m,mode=1777`.
pub fn tmpfs_size(entry: &str) -> (&str, Option<u64>) {
    let (path, options) = entry.split_once(':').unwrap_or((entry, ""));
    let size = options.split(',').find_map(|option| option.strip_prefix("size="));
    (path, size.and_then(bytes))
}

/// Parses bytes with an optional binary unit.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let power = match text[digits..].to_ascii_lowercase().trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    number.checked_mul(1 << power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, milliseconds) in
            [("1m30s", 90_000), ("1.5s", 1500), ("250ms", 250), ("0s", 0), ("0", 0), ("1h0m0s", 3_600_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-1s", "1x"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn tmpfs_entries() {
        assert_eq!(tmpfs_size("/tmp"), ("/tmp", None));
        assert_eq!(tmpfs_size("/t:mode=1777,size=64m"), ("/t", Some(64 << 20)));
        assert_eq!(tmpfs_size("/t:size=50%"), ("/t", None));
    }

    #[test]
    fn a_hidden_text_is_not_in_debug_output() {
        let hidden: Hidden = serde_json::from_str("\"open-sesame\"").unwrap();
        assert_eq!((hidden.reveal(), format!("{hidden:?}").as_str()), ("open-sesame", "***"));
    }
}
