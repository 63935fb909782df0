//! `.dockerignore`: which paths of a context never reach the build, by BuildKit's own rules (moby/patternmatcher, `ignorefile` and
//! `MatchesUsingParentResults`; tonistiigi/fsutil, `filterFS`). They are not git's: a pattern without a slash matches at the root
//! only, and the last pattern that matches a path or a folder above it decides.

mod find;
mod glob;
mod lines;
mod pattern;

use std::path::Path;

use anyhow::Result;

use crate::dockerignore::lines::{LONGEST, lines};
use crate::dockerignore::pattern::{Pattern, PatternError};
use host::failure::{Failure, FailureClass};

pub use crate::dockerignore::glob::{Glob, GlobError};

/// The patterns of an ignore file, in order.
#[derive(Debug, Clone, Default)]
pub struct IgnoreFile {
    patterns: Vec<Pattern>,
}

/// Which patterns match a folder: its content inherits the matches.
#[derive(Debug, Clone, Default)]
pub struct Inherited(Vec<bool>);

impl IgnoreFile {
    /// The ignore file of a build: `NAME.dockerignore` beside a Dockerfile `NAME`, else `.dockerignore` in the context. No patterns
    /// if there is neither. A Dockerfile without a file of its own, such as `dockerfile_inline`, has no path.
    ///
    /// # Errors
    /// When the file cannot be read, or as for [`IgnoreFile::parse`].
    pub fn of(context: &Path, dockerfile: Option<&Path>) -> Result<IgnoreFile> {
        match find::find(context, dockerfile) {
            Ok(None) => Ok(IgnoreFile::default()),
            Ok(Some((path, bytes))) => IgnoreFile::parse(&bytes, &path.display().to_string()),
            Err((path, error)) => Err(Failure::new(
                FailureClass::Usage,
                format!("cannot read {}: {error}", path.display()),
                "make it readable",
            )
            .into()),
        }
    }

    /// Parses a file; `name` is for messages.
    ///
    /// # Errors
    /// A pattern that BuildKit rejects.
    pub fn parse(bytes: &[u8], name: &str) -> Result<IgnoreFile> {
        let text = glob::go_text(bytes);
        let invalid = |number: usize, why: String, remedy: &str| {
            Failure::new(FailureClass::Usage, format!("{name}, line {number}: {why}"), remedy)
        };
        let mut patterns = Vec::new();
        for line in lines(&text) {
            if line.written.len() > LONGEST {
                let why = format!("longer than {LONGEST} bytes");
                return Err(invalid(line.number, why, "split the pattern").into());
            }
            let pattern = Pattern::new(&line.cleaned).map_err(|error| {
                let why = format!("invalid pattern `{}`", line.written.trim());
                match error {
                    PatternError::Empty => invalid(line.number, why, "name a path after `!`"),
                    PatternError::Syntax => {
                        invalid(line.number, why, "close the bracket, or write `\\[` and `\\\\`")
                    }
                }
            })?;
            patterns.push(pattern);
        }
        Ok(IgnoreFile { patterns })
    }

    /// Whether it has no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Also ignores a path, regardless of earlier patterns.
    ///
    /// # Errors
    /// As for [`IgnoreFile::parse`].
    pub fn ignoring(mut self, path: &str) -> Result<IgnoreFile> {
        self.patterns.extend(IgnoreFile::parse(path.as_bytes(), path)?.patterns);
        Ok(self)
    }

    /// Whether it first ignores everything, so that only exceptions are sent.
    pub fn is_allow_list(&self) -> bool {
        self.patterns
            .first()
            .is_some_and(|first| !first.is_exception && first.matches(b"any") && first.matches(b".name"))
    }

    /// Whether a path is ignored, given the matches of the folder around it; `None` at the root of the context. Also returns what the
    /// content of the path, if it is a folder, inherits.
    pub fn ignores(&self, path: &[u8], folder: Option<&Inherited>) -> (bool, Inherited) {
        let mut is_ignored = false;
        let mut matched = vec![false; self.patterns.len()];
        for (index, pattern) in self.patterns.iter().enumerate() {
            let is_inherited = folder.is_some_and(|folder| folder.0[index]);
            // BuildKit skips a pattern that cannot change the result, and does not inherit it.
            if is_inherited || pattern.is_exception == is_ignored && pattern.matches(path) {
                matched[index] = true;
                is_ignored = !pattern.is_exception;
            }
        }
        (is_ignored, Inherited(matched))
    }

    /// Whether an ignored folder can be skipped because no exception can match inside it.
    pub fn skips(&self, folder: &[u8]) -> bool {
        !self.patterns.iter().any(|pattern| pattern.is_exception && pattern.may_match_below(folder))
    }

    /// Whether a path never reaches the build. An ignored folder does, if something in it may be included again.
    pub fn hides(&self, path: &str, is_folder: bool) -> bool {
        let mut inherited = None;
        let mut is_ignored = false;
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            let (ignored, matched) = self.ignores(&path.as_bytes()[..end], inherited.as_ref());
            if ignored && self.skips(&path.as_bytes()[..end]) {
                return true;
            }
            (is_ignored, inherited) = (ignored, Some(matched));
        }
        is_ignored && !is_folder
    }
}

#[cfg(test)]
mod tests;
