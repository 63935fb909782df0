//! Finds the Compose files of a repository, and plans the switch of each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::switch::edits::{FilePlan, Fill, apply};
use crate::switch::images::{BaseFolder, FileReference};
use engine::compose::{MAIN_FILES, folder_of};
use host::files;
use host::paths::Repository;

/// A file with its plan.
#[derive(Debug)]
pub struct PlannedFile {
    /// Relative to the repository.
    pub name: String,
    /// The file itself, symlinks resolved.
    pub path: PathBuf,
    /// The paths that lead to it, symlinks not resolved.
    pub written: BTreeSet<PathBuf>,
    /// Its current content.
    pub text: String,
    /// What to change.
    pub plan: FilePlan,
}

/// A file that another one includes or extends, and that is not read.
#[derive(Debug, PartialEq, Eq)]
pub struct UnreadFile {
    /// The file that refers to it.
    pub by: String,
    /// As written there.
    pub name: String,
    /// Why it is not read.
    pub reason: &'static str,
}

impl PlannedFile {
    /// The text with all edits applied.
    pub fn switched(&self) -> String {
        apply(&self.text, &self.plan.edits)
    }
}

/// Plans the given files and all files they include or extend.
///
/// # Errors
/// A file that cannot be read, is not valid YAML, or is outside of the repository.
pub fn collect(
    repository: &Repository,
    first: &[PathBuf],
    plan_of: &dyn Fn(&str) -> Result<FilePlan>,
    fill: Fill<'_>,
) -> Result<(Vec<PlannedFile>, Vec<UnreadFile>)> {
    let root = files::real_path(repository.root())?;
    let mut seen = BTreeSet::new();
    let (mut planned, mut unread): (Vec<PlannedFile>, Vec<UnreadFile>) = (Vec::new(), Vec::new());
    // Compose's project directory.
    let base = first.first().map_or_else(|| Ok(root.clone()), |path| folder_of(path))?;
    let mut queue: Vec<(PathBuf, PathBuf, bool)> =
        first.iter().rev().map(|path| (path.clone(), base.clone(), false)).collect();
    while let Some((written, base, is_extended)) = queue.pop() {
        let path = files::real_path(&written)?;
        if let Some(known) = planned.iter_mut().find(|file| file.path == path) {
            known.written.insert(written.clone());
        }
        if !seen.insert((path.clone(), base.clone(), is_extended)) {
            continue;
        }
        let Ok(relative) = path.strip_prefix(&root) else {
            bail!(
                "{} is outside of {}: only files of this repository can be switched",
                path.display(),
                root.display()
            );
        };
        let name = relative.display().to_string();
        let index = match planned.iter().position(|file| file.path == path) {
            Some(index) => index,
            None => {
                let text = files::read(&path)?;
                let plan = plan_of(&text).with_context(|| name.clone())?;
                planned.push(PlannedFile { name: name.clone(), path, written: [written].into(), text, plan });
                planned.len() - 1
            }
        };
        let referenced = planned[index].plan.referenced_files.iter();
        for other in referenced.filter(|other| other.is_extended || !is_extended) {
            match resolve(other, &base, &root, fill) {
                Ok((path, base)) => queue.push((path, base, other.is_extended)),
                Err(reason) => {
                    let file = UnreadFile { by: name.clone(), name: other.path.clone(), reason };
                    if !unread.contains(&file) {
                        unread.push(file);
                    }
                }
            }
        }
    }
    Ok((planned, unread))
}

/// The file, and the folder that paths in it are relative to (compose-go, `loader/include.go` and `loader/extends.go`).
fn resolve(
    reference: &FileReference,
    base: &Path,
    root: &Path,
    fill: Fill<'_>,
) -> Result<(PathBuf, PathBuf), &'static str> {
    let fill = |name: &str| {
        fill(name).map_err(|_| "its name contains a variable that is not set: name the file with --file")
    };
    let name = fill(&reference.path)?;
    if name.contains("://") || name.starts_with("oci:") || name.starts_with("git@") {
        return Err("it is not in this repository");
    }
    let base_of_file = match &reference.base {
        BaseFolder::Is(folder) => files::lexical(&base.join(fill(folder)?)),
        BaseFolder::Of(file) => match main_file(files::lexical(&base.join(fill(file)?))) {
            path if path.is_dir() => path,
            path => path.parent().unwrap_or(Path::new("")).to_owned(),
        },
    };
    let path = main_file(files::lexical(&base.join(&name)));
    match files::real_path(&path) {
        Err(_) => Err("it does not exist"),
        Ok(real) if !real.starts_with(root) => Err("it is not in this repository"),
        Ok(_) => Ok((path, base_of_file)),
    }
}

/// The main file in a folder; any other path as it is.
fn main_file(path: PathBuf) -> PathBuf {
    let is_inside = |name: &&&str| path.join(name).is_file();
    match MAIN_FILES.iter().find(is_inside) {
        Some(inside) => path.join(inside),
        None => path,
    }
}
