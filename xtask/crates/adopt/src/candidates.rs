//! Guesses the build context of a Dockerfile that no file mentions: the folder that has most of its COPY sources.

use std::collections::BTreeMap;
use std::path::Path;

use crate::dockerfile::{self, DockerfileFacts, Source};
use crate::ignore::Ignored;
use crate::pattern::matches;

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
    let there =
        if own.1 == nearest { "in its own folder".to_owned() } else { format!("in {}", shown(nearest)) };
    let reason = match sources {
        0 => "it copies nothing, so its own folder is enough".to_owned(),
        _ if best == 0 => "no COPY source exists in any folder above it".to_owned(),
        _ if best < sources => format!("{best} of {sources} COPY sources exist {there}"),
        _ => format!("its COPY sources exist {there}"),
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
    let ignored = Ignored::of(&folder, &root.join(dockerfile));
    let known = facts.sources.iter().filter(|source| !source.is_open);
    known.filter(|source| !exists(&folder, &source.path, &ignored)).collect()
}

fn exists(folder: &Path, source: &str, ignored: &Ignored) -> bool {
    if source == "." {
        return has_more_than_dockerfiles(folder);
    }
    if !source.contains(['*', '?', '[', '\\']) {
        return folder.join(source).symlink_metadata().is_ok() && !ignored.hides(source);
    }
    any_match(folder, "", source, ignored)
}

/// Whether a path below the folder matches the pattern.
fn any_match(folder: &Path, prefix: &str, pattern: &str, ignored: &Ignored) -> bool {
    let depth = prefix.split('/').filter(|part| !part.is_empty()).count();
    let parts: Vec<&str> = pattern.split('/').collect();
    let Some(part) = parts.get(depth) else { return false };
    let entries = std::fs::read_dir(folder.join(prefix)).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| matches(part, name)).any(
        |name| {
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if depth + 1 == parts.len() {
                !ignored.hides(&path)
            } else {
                any_match(folder, &path, pattern, ignored)
            }
        },
    )
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
        assert_eq!((guess.context.as_str(), guess.reason.as_str()), ("a", "its COPY sources exist in a/"));
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
