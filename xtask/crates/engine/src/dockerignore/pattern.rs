//! One pattern (moby/patternmatcher, `Pattern`).

use crate::dockerignore::glob::{Glob, GlobError};

/// A pattern, which ignores paths, or with `!` includes them again.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    /// Without `!`.
    text: String,
    pub(super) is_exception: bool,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Exact,
    /// `a/**`.
    Prefix,
    /// `**/a`, `**a`.
    Suffix,
    Glob(Glob),
    /// What BuildKit makes of it is not plain. Then nothing is ignored for its sake.
    Unclear,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatternError {
    /// Only `!`.
    Empty,
    /// An open bracket, or a backslash at the end.
    Syntax,
}

impl Pattern {
    /// Reads a cleaned line.
    pub(super) fn new(line: &str) -> Result<Pattern, PatternError> {
        let (is_exception, text) = match line.strip_prefix('!') {
            Some("") => return Err(PatternError::Empty),
            Some(text) => (true, text),
            None => (false, line),
        };
        let glob = Glob::new(text);
        if glob.as_ref().is_err_and(|error| *error == GlobError::Syntax) {
            return Err(PatternError::Syntax);
        }
        let kind = match simple(text) {
            Some(kind) => kind,
            None => glob.map_or(Kind::Unclear, Kind::Glob),
        };
        Ok(Pattern { text: text.to_owned(), is_exception, kind })
    }

    pub(super) fn matches(&self, path: &[u8]) -> bool {
        let text = self.text.as_bytes();
        match &self.kind {
            Kind::Exact => path == text,
            Kind::Prefix => path.starts_with(&text[..text.len() - 2]),
            Kind::Suffix => {
                let suffix = &text[2..];
                path.ends_with(suffix) || suffix.strip_prefix(b"/") == Some(path)
            }
            Kind::Glob(glob) => glob.matches(path),
            Kind::Unclear => self.is_exception,
        }
    }

    /// The path that it starts with, if wildcards are at most its last part.
    pub(super) fn plain(&self) -> Option<&str> {
        let text = self.text.strip_suffix("/**").unwrap_or(&self.text);
        let text = text.strip_suffix("/*").unwrap_or(text);
        (!text.contains(['*', '[', ']', '?', '^', '\\'])).then_some(text)
    }
}

/// The kind of a pattern that BuildKit compares without a regular expression. The order of the rules matters: `**a` matches the end
/// of any name, `**a*` does not.
fn simple(text: &str) -> Option<Kind> {
    let (text, kind) = match text.strip_prefix("**") {
        // `**/a` and `**a`, but not `**/**`.
        Some(rest) => (rest, Kind::Suffix),
        None => match text.strip_suffix("**") {
            Some(rest) if !rest.is_empty() => (rest, Kind::Prefix),
            _ => (text, Kind::Exact),
        },
    };
    (!text.contains(['*', '?', '\\', '[', ']'])).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match Pattern::new(text).unwrap().kind {
            Kind::Exact => "exact",
            Kind::Prefix => "prefix",
            Kind::Suffix => "suffix",
            Kind::Glob(_) => "glob",
            Kind::Unclear => "unclear",
        }
    }

    #[test]
    fn patterns_are_compared_in_buildkit_s_ways() {
        for (text, expected) in [
            ("*", "glob"),
            ("**", "suffix"),
            ("**/**", "glob"),
            ("dir/**", "prefix"),
            ("dir**", "prefix"),
            ("**/dir", "suffix"),
            ("**dir", "suffix"),
            ("**/dir/*", "glob"),
            ("**/foo/bar", "suffix"),
            ("abc.def", "exact"),
            ("a(b)c/def", "exact"),
            ("a.|)$(}+{bc", "exact"),
            ("a^b", "exact"),
            ("abc?def", "glob"),
            ("a]", "glob"),
            ("\\d", "unclear"),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn unclear_patterns_ignore_nothing_and_include_everything() {
        assert!(!Pattern::new("\\d").unwrap().matches(b"1") && Pattern::new("!\\d").unwrap().matches(b"a/b"));
    }

    #[test]
    fn a_trailing_wildcard_is_no_obstacle_to_a_plain_path() {
        for (text, plain) in [
            ("!a/b", Some("a/b")),
            ("!a/b/**", Some("a/b")),
            ("!a/*", Some("a")),
            ("!a*", None),
            ("!**/a", None),
            ("!a\\*", None),
        ] {
            assert_eq!(Pattern::new(text).unwrap().plain(), plain, "{text}");
        }
    }
}
