//! The unconditional imports of a Python source file: import statements at the top level, outside any block (Python Language
//! Reference, "The import statement", "Lexical analysis").

use std::borrow::Cow;

/// The largest source file to read.
pub const MAX_BYTES: u64 = 1_000_000;

/// How import statements start.
const IMPORTS: [char; 2] = ['i', 'f'];

/// Whether a file is Python source.
pub fn is_source(path: &str) -> bool {
    path.ends_with(".py")
}

/// The imported modules as written: `a.b`, or `.b` relative to the file's package. `from a import b` gives both `a` and `a.b`,
/// because `b` may be a module.
pub fn of(source: &[u8]) -> Vec<String> {
    // Validating UTF-8 is much faster than replacing invalid bytes.
    let text = std::str::from_utf8(source).map_or_else(|_| String::from_utf8_lossy(source), Cow::Borrowed);
    let mut found = Vec::new();
    for line in top_level_lines(&text) {
        let line = line.split(';').next().unwrap_or_default();
        if let Some(names) = line.strip_prefix("import ") {
            found.extend(names.split(',').map(first_word).map(str::to_owned));
        } else if let Some((module, names)) = line.strip_prefix("from ").and_then(|rest| {
            let (module, names) = rest.split_once(" import")?;
            Some((module.trim(), names))
        }) {
            found.push(module.to_owned());
            let names = names.split([',', '(', ')']).map(first_word);
            let joint = if module.ends_with('.') { "" } else { "." };
            let names = names.filter(|name| !name.is_empty() && *name != "*");
            found.extend(names.map(|name| format!("{module}{joint}{name}")));
        }
    }
    let is_name = |name: &String| {
        let part = |part: &str| part.chars().all(|c| c.is_alphanumeric() || c == '_');
        let absolute = name.trim_start_matches('.');
        !name.is_empty() && absolute.split('.').all(part) && name.len() <= 256
    };
    found.retain(is_name);
    found.sort_unstable();
    found.dedup();
    found
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// Whether a byte is special outside strings.
const fn is_special(byte: u8) -> bool {
    matches!(byte, b'#' | b'\\' | b'\'' | b'"' | b'\n' | b'\r' | b'(' | b'[' | b'{' | b')' | b']' | b'}')
}

/// Logical lines that start with `i` or `f` in the first column, as imports do, without comments and with each string replaced by `"`.
fn top_level_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut depth = 0_usize;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut is_kept = rest.starts_with(IMPORTS);
    while let Some(&byte) = rest.as_bytes().first() {
        let mut skip = 1;
        let mut add = |text: &str| {
            if is_kept {
                line.push_str(text)
            }
        };
        match byte {
            b'#' => skip = rest.find('\n').unwrap_or(rest.len()),
            b'\\' if rest[1..].starts_with(['\r', '\n']) => {
                add(" ");
                skip = rest.find('\n').map_or(rest.len(), |at| at + 1);
            }
            b'\'' | b'"' => {
                add("\"");
                skip = string_length(rest);
            }
            b'\n' if depth == 0 => {
                if is_kept {
                    lines.push(std::mem::take(&mut line));
                }
                is_kept = rest[1..].starts_with(IMPORTS);
            }
            b'\n' | b'\r' => add(" "),
            b'(' | b'[' | b'{' => {
                depth += 1;
                add(&rest[..1]);
            }
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                add(&rest[..1]);
            }
            _ => {
                // Special bytes are ASCII, so the text is cut between characters. The first byte is plain, or a lone backslash.
                let plain = rest.bytes().skip(1).position(is_special);
                skip = plain.map_or(rest.len(), |at| at + 1);
                add(&rest[..skip]);
            }
        }
        rest = &rest[skip..];
    }
    if is_kept {
        lines.push(line);
    }
    lines
}

/// The length of the string literal at the start of `text`, including quotes. A backslash escapes a quote in raw strings too.
fn string_length(text: &str) -> usize {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let end = if text.starts_with(&triple) { triple.as_str() } else { quote };
    let mut at = end.len();
    while let Some(skip) =
        text.as_bytes()[at..].iter().position(|byte| matches!(byte, b'\'' | b'"' | b'\\' | b'\n'))
    {
        at += skip;
        let rest = &text[at..];
        if rest.starts_with(end) {
            return at + end.len();
        }
        match rest.as_bytes()[0] {
            b'\\' => at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            // An unterminated string ends at the end of its line.
            b'\n' if end.len() == 1 => return at,
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_at_the_top_level_are_found() {
        let source = "\u{feff}#!/usr/bin/python3\n\"\"\"Text\nimport not.this\n\"\"\"\nfrom __future__ import annotations\r\n\
            import os, a.b as c  # import x\nfrom d.e import (\n    f as g,  # a comment\n    h,\n)\nfrom . import i\n\
            from ..j import \\\n    k\nfrom l import *; import m\nimport\tn\n";
        let expected = [
            ".",
            "..j",
            "..j.k",
            ".i",
            "__future__",
            "__future__.annotations",
            "a.b",
            "d.e",
            "d.e.f",
            "d.e.h",
            "l",
            "os",
        ];
        assert_eq!(of(source.as_bytes()), expected);
    }

    #[test]
    fn imports_in_blocks_strings_and_damage_are_not() {
        for source in [
            "try:\n    import a\nexcept ImportError:\n    a = None\n",
            "if TYPE_CHECKING:\n\timport a\n",
            "def f():\n    from a import b\n",
            "x = '''\nimport a\n'''\n",
            "x = r'\\\\'; y = '''\nimport a\n'''\n",
            "x = 'an open string\nx = \"\\\"\nimporta = 1\nfrom_a = 2\n",
            "x = (\nimport a\n)\n",
            "import \n",
            "from  import \n",
            "import a-b, \u{1F600}\n",
            "# import a\\\nx",
            "x = '''",
            "\\",
        ] {
            assert_eq!(of(source.as_bytes()), [""; 0], "{source}");
        }
        assert_eq!(of(b"x = 'open\nimport a\n\xff\xfe"), ["a"]);
    }
}
