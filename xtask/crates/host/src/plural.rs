//! Numbers with their nouns.

/// `1 image`, `2 images`: for nouns whose plural adds an `s`.
pub fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
