//! The unconditional imports of a Python source file: import statements at the top level, outside any block (Python Language
//! Reference, "The import statement", "Lexical analysis").

/// The largest source file to read.
pub const MAX_BYTES: u64 = 1_000_000;

/// Whether a file is Python source.
pub fn is_source(path: &str) -> bool {
    path.ends_with(".py")
}

/// The imported modules as written: `a.b`, or `.b` relative to the file's package. `from a import b` gives both `a` and `a.b`,
/// because `b` may be a module.
pub fn of(source: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(source);
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

/// Logical lines that start in the first column, without comments and with each string replaced by `"`.
fn top_level_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut depth = 0_usize;
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while let Some(c) = rest.chars().next() {
        let mut skip = c.len_utf8();
        match c {
            '#' => skip = rest.find('\n').unwrap_or(rest.len()),
            '\\' if rest[1..].starts_with(['\r', '\n']) => {
                line.push(' ');
                skip = rest.find('\n').map_or(rest.len(), |at| at + 1);
            }
            '\'' | '"' => {
                line.push('"');
                skip = string_length(rest);
            }
            '\n' if depth == 0 => lines.push(std::mem::take(&mut line)),
            '\n' | '\r' => line.push(' '),
            '(' | '[' | '{' => {
                depth += 1;
                line.push(c);
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                line.push(c);
            }
            c => line.push(c),
        }
        rest = &rest[skip..];
    }
    lines.push(line);
    lines.retain(|line| !line.starts_with([' ', '\t']));
    lines
}

/// The length of the string literal at the start of `text`, including quotes. A backslash escapes a quote in raw strings too.
fn string_length(text: &str) -> usize {
    let quote = &text[..1];
    let triple = quote.repeat(3);
    let end = if text.starts_with(&triple) { triple.as_str() } else { quote };
    let mut at = end.len();
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with(end) {
            return at + end.len();
        }
        match rest.as_bytes()[0] {
            b'\\' => at += 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            // An unterminated string ends at the end of its line.
            b'\n' if end.len() == 1 => return at,
            _ => at += rest.chars().next().map_or(1, char::len_utf8),
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
