//! Guesses the build context of a Dockerfile that no file mentions: the folder that has most of its COPY sources.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dockerfile::{self, DockerfileFacts, Source};
use engine::dockerignore::{Glob, IgnoreFile};

/// The best context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextGuess {
    /// Relative to the root; `.` for the root.
    pub context: String,
    /// Why it was chosen.
    pub reason: String,
}

/// Chooses among the Dockerfile's folder and those above it. Of equally good ones, the nearest wins.
pub(crate) fn context_of(root: &Path, dockerfile: &str, text: &str) -> ContextGuess {
    let facts = dockerfile::read(text, None, &BTreeMap::new());
    let sources = facts.sources.iter().filter(|source| !source.is_open).count();
    let folders: Vec<&str> = above(dockerfile).collect();
    let scored: Vec<(usize, &str)> = folders
        .iter()
        .map(|folder| (sources - missing(root, folder, dockerfile, &facts).len(), *folder))
        .collect();
    let best = scored.iter().map(|(score, _)| *score).max().unwrap_or_default();
    let nearest = scored.iter().find(|(score, _)| *score == best).map_or(".", |(_, folder)| *folder);
    let own = scored.first().copied().unwrap_or_default();
    let reason = match sources {
        0 => "it copies nothing, so its own folder is enough".to_owned(),
        _ if own.1 == nearest => format!("{best} of {sources} COPY sources exist in its own folder"),
        _ => format!("{best} of {sources} COPY sources exist there, {} in {}", own.0, shown(own.1)),
    };
    ContextGuess { context: nearest.to_owned(), reason }
}

fn shown(folder: &str) -> String {
    if folder == "." { "the root".to_owned() } else { format!("{folder}/") }
}

/// The folder of a file and all above it; `.` for the root.
fn above(file: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(file);
    std::iter::from_fn(move || {
        let (folder, _) = rest?.rsplit_once('/').unwrap_or((".", ""));
        rest = (folder != ".").then_some(folder);
        Some(folder)
    })
}

/// The sources that a context lacks, or that its `.dockerignore` hides.
pub(crate) fn missing<'f>(
    root: &Path,
    context: &str,
    dockerfile: &str,
    facts: &'f DockerfileFacts,
) -> Vec<&'f Source> {
    let folder = if context == "." { root.to_owned() } else { root.join(context) };
    // The build itself reports an ignore file that it cannot use.
    let ignored = IgnoreFile::of(&folder, Some(&root.join(dockerfile))).unwrap_or_default();
    let known = facts.sources.iter().filter(|source| !source.is_open);
    known.filter(|source| !exists(&folder, &source.path, &ignored)).collect()
}

fn exists(folder: &Path, source: &str, ignored: &IgnoreFile) -> bool {
    if source == "." {
        return has_more_than_dockerfiles(folder);
    }
    if !source.contains(['*', '?', '[', '\\']) {
        let metadata = folder.join(source).symlink_metadata();
        return metadata.is_ok_and(|metadata| !ignored.hides(source, metadata.is_dir()));
    }
    any_match(folder, "", source, ignored)
}

/// Whether a path below the folder matches the pattern.
fn any_match(folder: &Path, prefix: &str, pattern: &str, ignored: &IgnoreFile) -> bool {
    let depth = prefix.split('/').filter(|part| !part.is_empty()).count();
    let parts: Vec<&str> = pattern.split('/').collect();
    let Some(part) = parts.get(depth).and_then(|part| Glob::new(part).ok()) else { return false };
    let entries = std::fs::read_dir(folder.join(prefix)).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| part.matches(name.as_bytes())).any(|name| {
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if depth + 1 == parts.len() {
            !ignored.hides(&path, folder.join(&path).is_dir())
        } else {
            any_match(folder, &path, pattern, ignored)
        }
    })
}

/// `COPY . .` from a folder that contains only Dockerfiles would copy nothing useful.
fn has_more_than_dockerfiles(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok()).any(|name| {
        let name = name.to_lowercase();
        !name.contains("dockerfile") && name != ".dockerignore"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn the_context_has_most_sources() {
        let folder = tree(&[
            "Cargo.toml",
            "a/b/Dockerfile",
            "a/b/Cargo.toml",
            "a/shared/x",
            "a/b/src/main.rs",
            "c/Dockerfile",
        ]);
        let of = |dockerfile: &str, text: &str| context_of(folder.path(), dockerfile, text);
        assert_eq!(of("a/b/Dockerfile", "FROM x\nCOPY Cargo.toml src /\n").context, "a/b");
        let guess = of("a/b/Dockerfile", "FROM x\nCOPY shared b/src /\n");
        assert_eq!(
            (guess.context.as_str(), guess.reason.as_str()),
            ("a", "2 of 2 COPY sources exist there, 0 in a/b/")
        );
        assert_eq!(of("a/b/Dockerfile", "FROM x\nCOPY a/*/x Cargo.toml /\n").context, ".");
        assert_eq!(of("c/Dockerfile", "FROM x\nCOPY . /\n").context, ".");
        assert_eq!(of("c/Dockerfile", "FROM x\n").context, "c");
    }

    #[test]
    fn ignored_sources_do_not_exist() {
        let folder = tree(&["a/Dockerfile", "a/x/y"]);
        std::fs::write(folder.path().join("a/.dockerignore"), "x\n").unwrap();
        let facts = dockerfile::read("FROM s\nCOPY x/y /\nCOPY $Z /\n", None, &BTreeMap::new());
        let lacking = missing(folder.path(), "a", "a/Dockerfile", &facts);
        assert_eq!(lacking.len(), 1);
        assert_eq!(lacking[0].path, "x/y");
    }
}
