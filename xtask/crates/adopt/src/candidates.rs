//! Guesses the build context of a Dockerfile that no file mentions: the folder that has most of its COPY sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::dockerfile::{self, DockerfileFacts, Source};
use crate::skaffold::joined;
use engine::dockerignore::{Glob, IgnoreFile};

/// The best context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextGuess {
    /// Relative to the root; `.` for the root.
    pub context: String,
    /// Why it was chosen.
    pub reason: String,
}

/// Chooses among the Dockerfile's folder and those above it. Of equally good ones, the nearest wins. If no folder has any source, the one
/// where git ignores most of them is where they are built; `ignored` returns those of the paths that it ignores.
pub(crate) fn context_of(
    root: &Path,
    dockerfile: &str,
    text: &str,
    ignored: impl Fn(&[String]) -> BTreeSet<String>,
) -> ContextGuess {
    let facts = dockerfile::read(text, None, &BTreeMap::new());
    let known: Vec<&Source> = facts.sources.iter().filter(|source| !source.is_open).collect();
    let sources = known.len();
    let folders: Vec<&str> = above(dockerfile).collect();
    let present = |folder: &str| sources - missing(root, folder, dockerfile, &facts).len();
    let (mut best, mut nearest) = first_of_most(&folders, present);
    let mut verb = "exist";
    if best == 0 && sources > 0 {
        let path = |folder: &str, source: &Source| joined(folder, &source.path);
        let paths: Vec<String> =
            folders.iter().flat_map(|folder| known.iter().map(move |source| path(folder, source))).collect();
        let built = ignored(&paths);
        let built_in =
            |folder: &str| known.iter().filter(|source| built.contains(&path(folder, source))).count();
        (best, nearest) = first_of_most(&folders, built_in);
        verb = "are ignored by git and so probably built";
    }
    let there = if folders.first() == Some(&nearest) {
        "in its own folder".to_owned()
    } else {
        format!("in {}", shown(nearest))
    };
    let reason = match sources {
        0 if facts.sources.is_empty() => "it copies nothing, so its own folder is enough".to_owned(),
        0 => "its COPY sources have variables without a value, so its own folder is a guess".to_owned(),
        _ if best == 0 => "no COPY source exists in any folder above it".to_owned(),
        _ if best < sources => format!("{best} of {sources} COPY sources {verb} {there}"),
        _ => format!("its COPY sources {verb} {there}"),
    };
    ContextGuess { context: nearest.to_owned(), reason }
}

/// The highest count and the first folder that has it.
fn first_of_most<'f>(folders: &[&'f str], count: impl Fn(&str) -> usize) -> (usize, &'f str) {
    let counted: Vec<(usize, &str)> = folders.iter().map(|folder| (count(folder), *folder)).collect();
    let best = counted.iter().map(|(count, _)| *count).max().unwrap_or_default();
    let first = counted.iter().find(|(count, _)| *count == best).map_or(".", |(_, folder)| *folder);
    (best, first)
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
        let of =
            |dockerfile: &str, text: &str| context_of(folder.path(), dockerfile, text, |_| BTreeSet::new());
        assert_eq!(of("a/b/Dockerfile", "FROM x\nCOPY Cargo.toml src /\n").context, "a/b");
        let guess = of("a/b/Dockerfile", "FROM x\nCOPY shared b/src /\n");
        assert_eq!((guess.context.as_str(), guess.reason.as_str()), ("a", "its COPY sources exist in a/"));
        assert_eq!(of("a/b/Dockerfile", "FROM x\nCOPY a/*/x Cargo.toml /\n").context, ".");
        assert_eq!(of("c/Dockerfile", "FROM x\nCOPY . /\n").context, ".");
        assert_eq!(of("c/Dockerfile", "FROM x\n").context, "c");
        let guess = of("c/Dockerfile", "FROM x\nCOPY $A.jar /\n");
        assert_eq!(
            guess.reason,
            "its COPY sources have variables without a value, so its own folder is a guess"
        );
    }

    #[test]
    fn sources_that_are_built_are_where_git_ignores_them() {
        let folder = tree(&["cmd/app/Dockerfile"]);
        let ignored = |paths: &[String]| {
            paths.iter().filter(|path| path.starts_with("bin/")).cloned().collect::<BTreeSet<_>>()
        };
        let of = |text: &str| context_of(folder.path(), "cmd/app/Dockerfile", text, ignored);
        let guess = of("FROM x\nCOPY bin/linux/app /\n");
        assert_eq!(guess.context, ".");
        assert_eq!(guess.reason, "its COPY sources are ignored by git and so probably built in the root");
        let guess = of("FROM x\nCOPY gone /\n");
        assert_eq!(
            (guess.context.as_str(), guess.reason.as_str()),
            ("cmd/app", "no COPY source exists in any folder above it")
        );
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
