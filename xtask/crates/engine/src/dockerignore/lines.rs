//! The lines of an ignore file (moby/patternmatcher, `ignorefile.ReadAll` and `patternmatcher.New`).

/// The longest line that Docker reads, in bytes (Go's `bufio.MaxScanTokenSize`).
pub(super) const LONGEST: usize = 65_535;

/// A line with a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'t> {
    /// From 1.
    pub(super) number: usize,
    /// As written.
    pub(super) written: &'t str,
    /// Its shortest form: `!a/b` for ` ! /a//b/ `.
    pub(super) cleaned: String,
}

/// The patterns of a file. A comment starts at the first character of its line.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let numbered = text.split('\n').enumerate().map(|(index, written)| (index + 1, written));
    let patterns = numbered.filter(|(_, written)| !written.starts_with('#') && !written.trim().is_empty());
    patterns.map(|(number, written)| Line { number, written, cleaned: cleaned(written.trim()) })
}

/// A pattern without `.` and `..`, doubled, leading and trailing slashes.
fn cleaned(line: &str) -> String {
    let (mark, pattern) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest.trim()));
    if pattern.is_empty() {
        return mark.to_owned();
    }
    let pattern = clean(pattern);
    let pattern = pattern.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&pattern);
    // Read a second time, with its mark.
    clean(format!("{mark}{pattern}").trim())
}

/// Go's `filepath.Clean`: the shortest equivalent path; `.` for none.
fn clean(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cleaned() {
        for (line, expected) in [
            ("a", "a"),
            ("  a\t", "a"),
            ("a\r", "a"),
            ("/a/b", "a/b"),
            ("//a", "a"),
            ("./a/", "a"),
            ("a//b/.", "a/b"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("/../a", "a"),
            ("**/", "**"),
            ("! /inverted/abs/path", "!inverted/abs/path"),
            ("!./a/", "!a"),
            ("!../a", "!../a"),
            ("!!a", "!!a"),
            ("!", "!"),
            ("! ", "!"),
            // Docker reads `!/` as `!` alone.
            ("!/", "!"),
            ("/", "/"),
            (".", "."),
            (" #a", "#a"),
            ("\u{a0}a\u{2003}", "a"),
        ] {
            let all: Vec<String> = lines(line).map(|line| line.cleaned).collect();
            assert_eq!(all, [expected], "{line:?}");
        }
    }

    #[test]
    fn comments_blank_lines_and_the_byte_order_mark_are_skipped() {
        let text = "\u{feff}# note\r\n\r\na\r\n#b\n   \n!c\n\u{feff}# not a comment";
        let all: Vec<(usize, String)> = lines(text).map(|line| (line.number, line.cleaned)).collect();
        assert_eq!(all, [(3, "a".into()), (6, "!c".into()), (7, "\u{feff}# not a comment".into())]);
    }
}
