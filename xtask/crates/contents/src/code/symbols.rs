//! Machine code by crate, from the symbols of a Rust program that was not stripped.

use std::fmt::Write;

use rustc_demangle::try_demangle;

use crate::code::{REST, Sums};
use crate::facts::InsideBytes;

/// Maximum length of a demangled name: the crate's name is near its start.
const MAX_WRITTEN: usize = 300;

/// Most bytes of names that are demangled: symbols may share their names.
const MAX_DEMANGLED: usize = 100_000_000;

/// A function in the symbol table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function<'f> {
    /// Its address.
    pub address: u64,
    /// Its bytes of machine code.
    pub size: u64,
    /// Its mangled name.
    pub name: &'f [u8],
}

/// Adds up functions by crate. Functions without a Rust name, such as C, share one row.
pub fn crates(mut functions: Vec<Function<'_>>) -> Vec<InsideBytes> {
    functions.sort();
    // Equal functions were merged into one, which has all their names.
    functions.dedup_by_key(|function| function.address);
    let (mut sums, mut room) = (Sums::default(), MAX_DEMANGLED);
    for function in functions {
        let rest = room.checked_sub(function.name.len());
        room = rest.unwrap_or_default();
        let name = rest.map(|_| name(function.name)).unwrap_or_default();
        sums.add(crate_of(&name).unwrap_or(REST), function.size);
    }
    sums.finish()
}

/// The start of a demangled name; empty if it is not one of Rust's.
fn name(mangled: &[u8]) -> String {
    let mut start = Start(String::new());
    if let Some(demangled) = std::str::from_utf8(mangled).ok().and_then(|name| try_demangle(name).ok()) {
        // A truncated name is fine: a hostile one could become very long.
        let _ = write!(start, "{demangled:#}");
    }
    start.0
}

struct Start(String);

impl Write for Start {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push_str(text);
        if self.0.len() > MAX_WRITTEN { Err(std::fmt::Error) } else { Ok(()) }
    }
}

/// The crate of a demangled name: the crate of its type or, for a built-in type, of its trait.
fn crate_of(name: &str) -> Option<&str> {
    let mut rest = name;
    loop {
        rest = rest.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
        match ["mut ", "const ", "dyn ", "unsafe ", "as "].iter().find_map(|word| rest.strip_prefix(word)) {
            Some(behind) => rest = behind,
            None => break,
        }
    }
    let end =
        rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
    if end > 0 && rest[end..].starts_with("::") {
        return Some(&rest[..end]);
    }
    let at = rest.find(" as ")?;
    crate_of(&rest[at + 4..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_the_crate_of_their_type_or_their_trait() {
        for (name, expected) in [
            ("serde_json::de::from_str", Some("serde_json")),
            ("<alloc::vec::Vec<T> as core::iter::FromIterator<T>>::from_iter", Some("alloc")),
            ("<&T as core::fmt::Debug>::fmt", Some("core")),
            ("<[u8] as mine::Hex>::hex", Some("mine")),
            ("<&mut dyn tokio::io::AsyncRead>::poll", Some("tokio")),
            ("main", None),
            ("", None),
        ] {
            assert_eq!(crate_of(name), expected, "{name}");
        }
    }

    #[test]
    fn code_is_added_up_by_crate_and_counts_once() {
        let function = |address, size, name: &'static str| Function { address, size, name: name.as_bytes() };
        let found = crates(vec![
            function(1, 10, "_ZN5serde2de4read17h0123456789abcdefE"),
            function(1, 10, "_ZN5tokio2de4read17h0123456789abcdefE"),
            function(20, 5, "_RNvCskwGfYPst2Cb_3foo16example_function"),
            function(30, 7, "sqlite3_open"),
        ]);
        let found: Vec<(&str, u64)> = found.iter().map(|one| (one.name.as_str(), one.bytes)).collect();
        assert_eq!(found, [("serde", 10), ("others", 7), ("foo", 5)]);
    }

    #[test]
    fn a_name_that_repeats_itself_is_cut_off() {
        let inner = "_RIC".repeat(900) + "E";
        assert!(name(inner.as_bytes()).len() <= MAX_WRITTEN + 100);
    }
}
