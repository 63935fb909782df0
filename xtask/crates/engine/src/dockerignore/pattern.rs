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
    /// BuildKit's interpretation is unclear, so the pattern ignores nothing.
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

    /// Whether it may match something in a folder.
    pub(super) fn may_match_below(&self, folder: &[u8]) -> bool {
        let text = self.text.as_bytes();
        let is_below = |text: &[u8]| text.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"));
        match &self.kind {
            Kind::Exact => is_below(text),
            Kind::Prefix => {
                let start = &text[..text.len() - 2];
                is_below(start) || [folder, b"/"].concat().starts_with(start)
            }
            Kind::Glob(glob) => glob.may_match_below(folder),
            Kind::Suffix | Kind::Unclear => true,
        }
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
    fn folders_that_cannot_matter_are_known() {
        for (text, folder, expected) in [
            ("a/b", "a", true),
            ("a/b", "a/b", false),
            ("ab", "a", false),
            ("a/b/**", "a", true),
            ("a/b/**", "a/b", true),
            ("a/b/**", "a/b/c", true),
            ("a/b/**", "a/c", false),
            ("a/b**", "a/bc/d", true),
            ("**/a", "b/c", true),
            ("**", "b", true),
            ("\\d", "b", true),
        ] {
            let pattern = Pattern::new(text).unwrap();
            assert_eq!(pattern.may_match_below(folder.as_bytes()), expected, "{text} {folder}");
        }
    }
}
