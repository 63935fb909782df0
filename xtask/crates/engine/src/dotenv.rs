//! Env files in Compose's syntax (Compose documentation, ".env file syntax"; compose-go, `dotenv`): `NAME=VALUE`, `NAME: VALUE`,
//! or `NAME` alone, which takes the environment's value. Quoted values may span lines. Only Compose evaluates every
//! value correctly; this parser locates values, and evaluates those of plain files (see [`is_plain`]).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;

use crate::interpolation::interpolate;

/// A variable in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry<'t> {
    name: &'t str,
    /// Where the value is, including its quotes.
    span: Range<usize>,
    value: Value<'t>,
}

/// A raw value, without its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value<'t> {
    /// Taken from the environment.
    Inherited,
    Unquoted(&'t str),
    Single(&'t str),
    Double(&'t str),
}

/// The environment variables of this program whose names and values are UTF-8.
pub fn environment() -> BTreeMap<String, String> {
    let text =
        |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).collect()
}

/// The names of all variables up to the first syntax error, sorted.
pub fn names(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = entries(text).0.into_iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether every version of Compose reads the file as [`variables`] does: plain names, single-line values, no expansion and no
/// escapes.
pub fn is_plain(text: &str) -> bool {
    let is_plain = |entry: &Entry<'_>| {
        is_identifier(entry.name)
            && match entry.value {
                Value::Unquoted(value) => {
                    value.chars().all(|c| c.is_ascii_alphanumeric() || "_./:@,+%=-".contains(c))
                }
                Value::Single(value) => !value.contains(['\\', '\n', '\r']),
                Value::Double(_) | Value::Inherited => false,
            }
    };
    let (entries, is_whole) = entries(text);
    is_whole && entries.iter().all(is_plain)
}

/// Whether a name is valid in `${NAME}`.
pub fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// The variables of a file. The last value of a name wins. `${OTHER}` in a value refers to the environment, else to an earlier
/// line.
pub fn variables(text: &str, environment: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for entry in entries(text).0 {
        let value_of = |name: &str| environment.get(name).or_else(|| found.get(name)).cloned();
        let expanded = |value: &str| interpolate(value, &value_of).unwrap_or_else(|_| value.to_owned());
        let value = match entry.value {
            Value::Inherited => match environment.get(entry.name) {
                Some(value) => value.clone(),
                None => continue,
            },
            Value::Unquoted(value) => expanded(value),
            Value::Single(value) => value.replace("\\'", "'"),
            Value::Double(value) => expanded(&unescaped(value)),
        };
        found.insert(entry.name.to_owned(), value);
    }
    found
}

/// The file's text with a variable set: its last value is replaced, or a line is appended. Nothing else changes.
pub fn set(text: &str, name: &str, value: &str) -> String {
    let quoted = quoted(value);
    if let Some(entry) = entries(text).0.iter().rfind(|entry| entry.name == name) {
        let separator = if entry.value == Value::Inherited { "=" } else { "" };
        return format!("{}{separator}{quoted}{}", &text[..entry.span.start], &text[entry.span.end..]);
    }
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { end };
    format!("{text}{gap}{name}={quoted}{end}")
}

/// Quotes a value so that Compose reads it literally. Single quotes prevent expansion, but cannot contain a backslash before a
/// quote.
fn quoted(value: &str) -> String {
    if value.contains("\\'") || value.ends_with('\\') {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        return format!("\"{escaped}\"");
    }
    format!("'{}'", value.replace('\'', "\\'"))
}

/// The entries up to the first syntax error, and whether there was none. Compose rejects a file with an invalid name or an
/// unclosed quote.
fn entries(text: &str) -> (Vec<Entry<'_>>, bool) {
    let mut found = Vec::new();
    let mut at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if text[at..].is_empty() {
            return (found, true);
        }
        if text[at..].starts_with('#') {
            at = line_end(text, at);
            continue;
        }
        let Some(entry) = entry(text, at) else { return (found, false) };
        at = entry.span.end;
        if matches!(entry.value, Value::Unquoted(_)) {
            // The rest of the line is a comment.
            at = line_end(text, at);
        }
        found.push(entry);
    }
}

fn entry(text: &str, at: usize) -> Option<Entry<'_>> {
    let exported = text[at..].strip_prefix("export").filter(|rest| rest.starts_with(char::is_whitespace));
    let rest = exported.map(str::trim_start).filter(|rest| !rest.is_empty());
    let start = rest.map_or(at, |rest| text.len() - rest.len());
    let stop = text[start..].find(['=', ':', '\n']).map_or(text.len(), |length| start + length);
    let name = text[start..stop].trim_end();
    let is_name = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return None;
    }
    if stop == text.len() || text[stop..].starts_with('\n') {
        let end = start + name.len();
        return Some(Entry { name, span: end..end, value: Value::Inherited });
    }
    let value = text[stop + 1..].trim_start_matches(|c: char| c.is_whitespace() && c != '\n');
    let start = text.len() - value.len();
    for (quote, kind) in [('\'', Value::Single as fn(_) -> _), ('"', Value::Double)] {
        if value.starts_with(quote) {
            let length = closing_quote(&value[1..], quote)?;
            let span = start..start + length + 2;
            return Some(Entry { name, span, value: kind(&value[1..=length]) });
        }
    }
    let line = value.split('\n').next().unwrap_or_default();
    let kept = line.split(" #").next().unwrap_or_default().trim_end();
    Some(Entry { name, span: start..start + kept.len(), value: Value::Unquoted(kept) })
}

/// The index of the closing quote. Skips quotes escaped with a backslash.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if c == quote && !is_escaped => return Some(index),
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    None
}

/// The end of the line that contains `at`.
fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

/// Resolves the escapes in a double-quoted value. `\$` becomes `$$`, which expansion turns into `$`.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('$')) => out.push_str("$$"),
            ('\\', Some(c @ ('"' | '\\'))) => out.push(c),
            ('\\', Some(other)) => out.extend(['\\', other]),
            (c, _) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> BTreeMap<String, String> {
        variables(text, &BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]))
    }

    #[test]
    fn env_files_are_read_as_compose_reads_them() {
        let text = "\u{feff}A='x$y # z' # no\r\n# B=no\nexport B=\"a \\\"b\\\"\\n\"\n C = plain # pinned\nE=a#b\nF\nA2=\nY: 1\n\
                    M=\"two\nlines of $C\" # no\nS='it\\'s\n$C'\nD=${X:-default}-$$x-${HOME}\nHOME\nQ='a'R='b'\nA=last";
        let found = read(text);
        let pairs: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            pairs,
            [
                ("A", "last"),
                ("A2", ""),
                ("B", "a \"b\"\n"),
                ("C", "plain"),
                ("D", "default-$x-/root"),
                ("E", "a#b"),
                ("HOME", "/root"),
                ("M", "two\nlines of plain"),
                ("Q", "a"),
                ("R", "b"),
                ("S", "it's\n$C"),
                ("Y", "1"),
            ]
        );
        assert_eq!(names(text).len(), 13);
        assert_eq!(read("A='x$y # z' # no")["A"], "x$y # z");
    }

    #[test]
    fn only_values_that_all_versions_read_alike_are_plain() {
        assert!(is_plain("# mine\r\nA=1.2-rc\nexport B='x $y # \" z' # no\n\nURL=https://u@h:1/p,q\nE=\n"));
        for other in
            ["A=$B", "A=a b", "A=\"x\"", "A='x\ny'", "A='it\\'s'", "A=a#b", "A", "A.B=1", "A='open", "a b=1"]
        {
            assert!(!is_plain(other), "{other}");
        }
    }

    #[test]
    fn setting_a_variable_changes_nothing_else() {
        for (text, name, expected) in [
            ("# mine\nA=1\nB=2", "A", "# mine\nA='v'\nB=2"),
            ("# mine\nA=1\nB=2", "C", "# mine\nA=1\nB=2\nC='v'\n"),
            ("", "C", "C='v'\n"),
            ("A=1\r\nB=2\r\n", "A", "A='v'\r\nB=2\r\n"),
            ("A=1\r\nB=2\r\n", "C", "A=1\r\nB=2\r\nC='v'\r\n"),
            ("A=1 # why\n export  B : 2\t\n", "A", "A='v' # why\n export  B : 2\t\n"),
            ("A=1 # why\n export  B : 2\t\n", "B", "A=1 # why\n export  B : 'v'\t\n"),
            ("M=\"x\nA=no\n\" # c\nA=\n", "A", "M=\"x\nA=no\n\" # c\nA='v'\n"),
            ("A='x\ny'\nA\nB=1", "A", "A='x\ny'\nA='v'\nB=1"),
            ("A=first\nA=\"l\nast\"\n", "A", "A=first\nA='v'\n"),
        ] {
            assert_eq!(set(text, name, "v"), expected, "{text:?} {name}");
        }
    }

    #[test]
    fn values_that_double_with_every_line_stay_bounded() {
        let text = format!("A=0123456789abcdef\n{}", "A=$A$A\n".repeat(100));
        assert!(read(&text)["A"].len() <= 1 << 17);
    }

    #[test]
    fn whatever_is_set_is_read_back() {
        for value in ["x$y", "it's", "a\\", "a\\'b\"$c", "two\nlines", "$$", "\\n", " # ", "${A:-b}"] {
            assert_eq!(read(&set("A=1\n", "A", value))["A"], value, "{value:?}");
        }
    }
}
