//! A `.dockerignore` in the form of an allow-list: `*`, then `!PATH` lines, then exceptions to them. Other forms are
//! rejected rather than misread.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A parsed allow-list.
#[derive(Debug)]
pub struct AllowList {
    /// Included paths by their parts; `*` matches any characters within one part.
    allowed: Vec<Vec<String>>,
    excluded: Vec<Exclusion>,
}

/// An excluded path with everything below it.
#[derive(Debug)]
struct Exclusion {
    /// In any folder (`**/`), not only at the root.
    anywhere: bool,
    parts: Vec<String>,
}

impl AllowList {
    /// Parses a `.dockerignore`; fails if it is not an allow-list or has an unsupported pattern.
    pub fn parse(text: &str) -> Result<AllowList> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        if lines.next() != Some("*") {
            bail!(
                "not an allow-list\nhelp: begin with `*`, then include what the build needs with `!PATH` lines"
            );
        }
        let mut list = AllowList { allowed: Vec::new(), excluded: Vec::new() };
        for line in lines {
            match line.strip_prefix('!') {
                // In Docker the last matching line decides; here order is ignored.
                Some(_) if !list.excluded.is_empty() => {
                    bail!("`{line}` comes after an exclusion\nhelp: put all `!PATH` lines first")
                }
                Some(path) => list.allowed.push(parts(path)?),
                None => {
                    let anywhere = line.strip_prefix("**/");
                    let parts = parts(anywhere.unwrap_or(line))?;
                    list.excluded.push(Exclusion { anywhere: anywhere.is_some(), parts });
                }
            }
        }
        Ok(list)
    }

    /// The files that it includes.
    pub fn files(&self, root: &Path) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for pattern in &self.allowed {
            self.expand(root, root, pattern, &mut found)?;
        }
        Ok(found)
    }

    fn expand(&self, root: &Path, at: &Path, parts: &[String], found: &mut Vec<PathBuf>) -> Result<()> {
        let Some((first, rest)) = parts.split_first() else {
            return self.walk(root, at, found);
        };
        if !first.contains('*') {
            let next = at.join(first);
            // Like Docker, accept an included path that does not exist.
            return if next.symlink_metadata().is_ok() {
                self.expand(root, &next, rest, found)
            } else {
                Ok(())
            };
        }
        for next in entries(at)? {
            let name = next.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if matches(first, &name) {
                self.expand(root, &next, rest, found)?;
            }
        }
        Ok(())
    }

    fn walk(&self, root: &Path, at: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        if self.excludes(at.strip_prefix(root).unwrap_or(at)) {
            return Ok(());
        }
        if at.is_symlink() || at.is_file() {
            found.push(at.to_owned());
        } else if at.is_dir() {
            for next in entries(at)? {
                self.walk(root, &next, found)?;
            }
        }
        Ok(())
    }

    /// Whether a path, or a folder it is in, is excluded.
    fn excludes(&self, path: &Path) -> bool {
        let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
        self.excluded.iter().any(|exclusion| {
            let count = exclusion.parts.len();
            let mut starts = 0..(parts.len() + 1).saturating_sub(count).min(if exclusion.anywhere {
                usize::MAX
            } else {
                1
            });
            starts.any(|start| {
                exclusion.parts.iter().zip(&parts[start..]).all(|(part, name)| matches(part, name))
            })
        })
    }
}

fn parts(path: &str) -> Result<Vec<String>> {
    let parts: Vec<String> = path.trim().trim_matches('/').split('/').map(str::to_owned).collect();
    let is_unsupported = |part: &String| {
        part.is_empty()
            || part == "."
            || part == ".."
            || part.contains("**")
            || part.contains(['?', '[', '\\'])
    };
    if parts.iter().any(is_unsupported) {
        bail!("unsupported pattern: `{path}`\nhelp: use plain paths, with `*` within a part");
    }
    Ok(parts)
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let read = || fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    read().with_context(|| format!("cannot list {}", dir.display()))
}

/// Whether a part of a path matches a pattern in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(tail, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exclusions_work_as_in_docker() {
        let out = |list: &str, path: &str| {
            AllowList::parse(&format!("*\n!p\n{list}\n")).unwrap().excludes(Path::new(path))
        };
        // `*` stays within one part.
        assert!(out("p/*.pyc", "p/a.pyc") && !out("p/*.pyc", "p/src/a.pyc"));
        assert!(out("p/*/a.py", "p/src/a.py") && !out("p/*/a.py", "p/src/deep/a.py"));
        // An excluded folder excludes everything below it, even what is included by name.
        assert!(out("p/src", "p/src/deep/b.py") && !out("p/src", "q/p/src"));
        // `**` matches any number of folders, also none.
        assert!(out("**/src/a.py", "p/src/a.py") && out("**/src/a.py", "src/a.py"));
        assert!(!out("**/src/a.py", "p/a.py") && !out("**/src/a.py", "p/src/deep/a.py"));
        assert!(out("**/__pycache__", "p/src/__pycache__/x/a.pyc"));
    }
}
