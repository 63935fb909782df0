//! The inputs of an image that differ between two commits: files, Dockerfile lines, declarations, packages in lock files.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use tempfile::TempDir;

use crate::changes::ingredients::of_tree;
use crate::changes::inputs::Inputs;
use crate::changes::{IS_CONTEXT, difference};
use crate::estimate::{self, LockFileChange};
use engine::builds;
use engine::context::Context;
use host::files;
use host::git::LogEntry;
use host::paths::Repository;
use model::manifest::{Manifest, Service};
use model::reader;

/// The inputs of a service's image that differ between two commits.
#[derive(Debug, Default, Serialize)]
pub struct InputChanges {
    /// Changed files that the build can read, relative to the repository's root.
    pub files: Vec<String>,
    /// The Dockerfiles among them.
    pub dockerfiles: Vec<DockerfileChange>,
    /// Changed parts of the manifest.
    pub declarations: Vec<String>,
    /// Lock files among them, with their changed packages.
    pub lock_files: Vec<LockFileChange>,
    /// The commits that changed these files, newest first. Merges are not listed.
    pub commits: Vec<InputCommit>,
}

/// A changed Dockerfile.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct DockerfileChange {
    /// Its path, relative to the repository.
    pub file: String,
    /// Whether it is one of the project's own bases.
    pub base: bool,
    /// Changed lines, without comments and empty lines.
    pub lines: Vec<ChangedLine>,
}

/// A line that only one of two versions of a file has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedLine {
    /// Its number in the version that has it.
    pub line: usize,
    /// Whether the newer version has it.
    pub added: bool,
    /// Its text.
    pub text: String,
}

/// A commit that changed inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputCommit {
    /// The full hash.
    pub commit: String,
    /// The author's day, `2026-01-31`.
    pub day: String,
    /// The first line of the message.
    pub subject: String,
    /// The inputs changed by this commit.
    pub files: Vec<String>,
}

/// The repository at a commit, unpacked into a temporary folder.
struct TreeAt {
    folder: TempDir,
    repository: Repository,
    manifest: Manifest,
}

impl TreeAt {
    /// `None` without a manifest.
    fn of(commit: &str, context: &Context) -> Result<Option<TreeAt>> {
        let folder = context.git().unpack(commit)?;
        let Ok(repository) = Repository::locate(Some(folder.path())) else { return Ok(None) };
        let manifest = manifest_of(&repository, context)?;
        Ok(Some(TreeAt { folder, repository, manifest }))
    }

    fn service(&self, names: &[String]) -> Option<&Service> {
        self.manifest.services.iter().find(|service| names.contains(&service.name))
    }

    fn inputs(&self, names: &[String]) -> Option<Inputs<'_>> {
        let service = self.service(names)?;
        Some(Inputs::of(service, &[service.shipped()], &self.manifest, &self.repository))
    }
}

/// The manifest of another tree. If today's rules reject it, only its valid parts.
///
/// # Errors
/// When it cannot be read.
pub fn manifest_of(repository: &Repository, context: &Context) -> Result<Manifest> {
    let other = Context { repository: repository.clone(), ..context.clone() };
    let other = Context { terminal: other.terminal.clone().quiet(), ..other };
    match builds::manifest(&other) {
        Ok(manifest) => Ok(manifest),
        Err(_) => {
            let text = files::read(&repository.manifest())?;
            Ok(reader::parse_leniently(&text, repository).unwrap_or_default())
        }
    }
}

/// Finds the files and commits between two commits that affect an image. A file counts if the build at either commit reads it.
#[derive(Default)]
pub struct InputRange {
    trees: [Option<TreeAt>; 2],
    /// The service's names at the two commits.
    names: Vec<String>,
}

impl InputRange {
    /// Unpacks both commits.
    ///
    /// # Errors
    /// When a commit cannot be unpacked.
    pub fn new(from: &str, to: &str, names: &[String], context: &Context) -> Result<InputRange> {
        let trees = [TreeAt::of(from, context)?, TreeAt::of(to, context)?];
        Ok(InputRange { trees, names: names.to_vec() })
    }

    /// The commits in a list that changed inputs or, with `manifest`, the manifest; each with the changed inputs.
    pub fn commits(&self, entries: Vec<LogEntry>, manifest: Option<&str>) -> Vec<InputCommit> {
        let inputs = self.inputs();
        let is_input = |file: &String| reads(&inputs, file) || manifest == Some(file.as_str());
        let commit = |LogEntry { commit, day, subject, files }: LogEntry| {
            let files: Vec<String> = files.into_iter().filter(is_input).collect();
            (!files.is_empty()).then_some(InputCommit { commit, day, subject, files })
        };
        entries.into_iter().filter_map(commit).collect()
    }

    /// The differences between the two commits.
    ///
    /// # Errors
    /// When git fails.
    pub fn changes(&self, from: &str, to: &str, context: &Context) -> Result<InputChanges> {
        let git = context.git();
        let inputs = self.inputs();
        let changed = git.changed_between(from, to)?;
        let files: Vec<String> = changed.into_iter().filter(|file| reads(&inputs, file)).collect();
        let mut dockerfiles: Vec<DockerfileChange> = Vec::new();
        for (file, base) in inputs.iter().flat_map(Inputs::dockerfiles) {
            if files.iter().any(|changed| changed == file) && dockerfiles.iter().all(|one| one.file != file) {
                let lines = changed_lines(&git.difference(from, to, file)?);
                dockerfiles.push(DockerfileChange { file: file.to_owned(), base, lines });
            }
        }
        dockerfiles.sort_by_key(|one| one.base);
        let commits = self.commits(git.commits(from, to, false)?, None);
        let service = self.names.first().map_or("", String::as_str);
        let lock_files = match self.paths() {
            Some(paths) => estimate::between(&files, service, paths),
            None => Vec::new(),
        };
        Ok(InputChanges { files, dockerfiles, declarations: self.declarations(), lock_files, commits })
    }

    fn inputs(&self) -> Vec<Inputs<'_>> {
        self.trees.iter().flatten().filter_map(|tree| tree.inputs(&self.names)).collect()
    }

    fn paths(&self) -> Option<[&Path; 2]> {
        let [Some(old), Some(new)] = &self.trees else { return None };
        Some([old.folder.path(), new.folder.path()])
    }

    /// Contexts are listed as files.
    fn declarations(&self) -> Vec<String> {
        let parts = |tree: &TreeAt| {
            let name = &tree.service(&self.names)?.name;
            of_tree(&tree.repository).ok()?.remove(name)
        };
        let [old, new] = self.trees.each_ref().map(|tree| tree.as_ref().and_then(parts));
        let Some(new) = new else { return Vec::new() };
        let mut parts = difference(old.as_ref(), &new);
        parts.retain(|part| !part.ends_with(IS_CONTEXT));
        parts
    }
}

fn reads(inputs: &[Inputs<'_>], file: &str) -> bool {
    inputs.iter().any(|inputs| inputs.reads(file))
}

/// The lines of a difference without context (`git diff --unified=0`).
fn changed_lines(diff: &str) -> Vec<ChangedLine> {
    let mut lines = Vec::new();
    let mut next = None;
    for text in diff.lines() {
        if let Some(numbers) = text.strip_prefix("@@ -").and_then(start_of_hunk) {
            next = Some(numbers);
            continue;
        }
        let (Some([old, new]), Some(sign)) = (&mut next, text.chars().next()) else { continue };
        let number = match sign {
            '-' => old,
            '+' => new,
            _ => continue,
        };
        let (line, text) = (*number, text[1..].trim());
        *number += 1;
        if !text.is_empty() && !text.starts_with('#') {
            lines.push(ChangedLine { line, added: sign == '+', text: text.to_owned() });
        }
    }
    lines
}

/// The first line numbers of both sides: 12 and 14 in `12,3 +14 @@`.
fn start_of_hunk(text: &str) -> Option<[usize; 2]> {
    let (old, rest) = text.split_once(" +")?;
    let number = |side: &str| side.split([',', ' ']).next()?.parse().ok();
    Some([number(old)?, number(rest)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_numbers_of_their_version() {
        let diff = "diff --git a/D b/D\nindex 1..2 100644\n--- a/D\n+++ b/D\n\
                    @@ -2 +2,2 @@ FROM debian\n-RUN a\n+RUN b\n+RUN c\n\
                    @@ -7,3 +8 @@\n-# why\n-COPY x /\n-\n+--flag\n\\ No newline at end of file\n";
        let line = |line, added, text: &str| ChangedLine { line, added, text: text.into() };
        assert_eq!(
            changed_lines(diff),
            [
                line(2, false, "RUN a"),
                line(2, true, "RUN b"),
                line(3, true, "RUN c"),
                line(8, false, "COPY x /"),
                line(8, true, "--flag"),
            ]
        );
        assert_eq!(changed_lines("Binary files a/D and b/D differ\n@@ -x +1 @@\n+a\n"), []);
    }
}
