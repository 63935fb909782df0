//! Finds the Compose files of a repository, and plans the switch of each.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::switch::edits::{FilePlan, Fill, apply};
use engine::variables::Variables;
use host::files;
use host::paths::Repository;

/// The main files Compose looks for, in its order.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The override files it reads beside any of them, in its order.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// A file with its plan.
#[derive(Debug)]
pub struct PlannedFile {
    /// Relative to the repository.
    pub name: String,
    /// The file itself, symlinks resolved.
    pub path: PathBuf,
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

/// The files Compose reads in the repository's root: those of `COMPOSE_FILE`, else the first main file with the first override
/// file.
pub fn default_files(repository: &Repository, variables: &Variables) -> Vec<PathBuf> {
    let root = repository.root();
    if let Some(named) = variables.get("COMPOSE_FILE") {
        let separator = variables.get("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
        return named.split(separator).filter(|name| !name.is_empty()).map(|name| root.join(name)).collect();
    }
    let first = |names: &[&str]| names.iter().map(|name| root.join(name)).find(|path| path.is_file());
    let main = first(&NAMES);
    let overriding = main.as_ref().and_then(|_| first(&OVERRIDES));
    main.into_iter().chain(overriding).collect()
}

/// Plans the given files and all files they include or extend.
///
/// # Errors
/// A file that cannot be read, is not valid YAML, or is outside of the repository.
pub fn collect(
    repository: &Repository,
    first: Vec<PathBuf>,
    plan_of: &dyn Fn(&str) -> Result<FilePlan>,
    fill: Fill<'_>,
) -> Result<(Vec<PlannedFile>, Vec<UnreadFile>)> {
    let root = files::real_path(repository.root())?;
    let mut seen = BTreeSet::new();
    let (mut planned, mut unread) = (Vec::new(), Vec::new());
    let mut queue: Vec<PathBuf> = first.into_iter().rev().collect();
    while let Some(path) = queue.pop() {
        let path = files::real_path(&path)?;
        if !seen.insert(path.clone()) {
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
        let text = files::read(&path)?;
        let plan = plan_of(&text).with_context(|| name.clone())?;
        for other in &plan.referenced_files {
            match resolve(other, path.parent().unwrap_or(&root), &root, fill) {
                Ok(found) => queue.push(found),
                Err(reason) => unread.push(UnreadFile { by: name.clone(), name: other.clone(), reason }),
            }
        }
        planned.push(PlannedFile { name, path, text, plan });
    }
    Ok((planned, unread))
}

fn resolve(name: &str, folder: &Path, root: &Path, fill: Fill<'_>) -> Result<PathBuf, &'static str> {
    let name =
        fill(name).map_err(|_| "its name contains a variable that is not set: name the file with --file")?;
    if name.contains("://") || name.starts_with("oci:") || name.starts_with("git@") {
        return Err("it is not in this repository");
    }
    let path = folder.join(&name);
    let path = match NAMES.iter().find(|name| path.is_dir() && path.join(name).is_file()) {
        Some(inside) => path.join(inside),
        None => path,
    };
    match files::real_path(&path) {
        Err(_) => Err("it does not exist"),
        Ok(real) if !real.starts_with(root) => Err("it is not in this repository"),
        Ok(real) => Ok(real),
    }
}
