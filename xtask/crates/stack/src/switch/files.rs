//! The Compose files of a repository: which there are, and what each is to become.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::switch::edits::{Plan, apply};
use engine::variables::Variables;
use host::files;
use host::paths::Repository;

/// What Compose looks for in a folder, in its order.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// What Compose reads beside it, in its order, whatever the first is called.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// One file with its plan.
#[derive(Debug)]
pub struct Planned {
    /// Relative to the repository, for people.
    pub name: String,
    /// The file itself, links followed.
    pub path: PathBuf,
    /// What it holds now.
    pub text: String,
    /// What is to change.
    pub plan: Plan,
}

/// A file that another one names and that is not looked into.
#[derive(Debug, PartialEq, Eq)]
pub struct NotRead {
    /// The file that names it.
    pub by: String,
    /// As it is named there.
    pub name: String,
    /// Why.
    pub reason: &'static str,
}

impl Planned {
    /// The text with all edits made.
    pub fn switched(&self) -> String {
        apply(&self.text, &self.plan.edits)
    }
}

/// The files that Compose would read in the repository's root: those of `COMPOSE_FILE`, else the first of its names with the
/// first of its override files.
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

/// Plans for the given files and all that they lead to.
///
/// # Errors
/// A file that cannot be read, that is no YAML, or that lies outside of the repository.
pub fn collect(
    repository: &Repository,
    first: Vec<PathBuf>,
    plan_of: &dyn Fn(&str) -> Result<Plan>,
) -> Result<(Vec<Planned>, Vec<NotRead>)> {
    let root = files::real_path(repository.root())?;
    let mut seen = BTreeSet::new();
    let (mut planned, mut not_read) = (Vec::new(), Vec::new());
    let mut queue: Vec<PathBuf> = first.into_iter().rev().collect();
    while let Some(path) = queue.pop() {
        let path = files::real_path(&path)?;
        if !seen.insert(path.clone()) {
            continue;
        }
        let Ok(relative) = path.strip_prefix(&root) else {
            bail!(
                "{} lies outside of {}: only files of this repository are switched",
                path.display(),
                root.display()
            );
        };
        let name = relative.display().to_string();
        let text = files::read(&path)?;
        let plan = plan_of(&text).with_context(|| name.clone())?;
        for further in &plan.further {
            match further_file(further, path.parent().unwrap_or(&root), &root) {
                Ok(found) => queue.push(found),
                Err(reason) => {
                    not_read.push(NotRead { by: name.clone(), name: further.clone(), reason });
                }
            }
        }
        planned.push(Planned { name, path, text, plan });
    }
    Ok((planned, not_read))
}

fn further_file(name: &str, folder: &Path, root: &Path) -> Result<PathBuf, &'static str> {
    if name.contains('$') {
        return Err("its name holds a variable: name the file with --file");
    }
    if name.contains("://") || name.starts_with("oci:") || name.starts_with("git@") {
        return Err("it is not in this repository");
    }
    let path = folder.join(name);
    let path = match NAMES.iter().find(|name| path.is_dir() && path.join(name).is_file()) {
        Some(inside) => path.join(inside),
        None => path,
    };
    match files::real_path(&path) {
        Err(_) => Err("there is no such file"),
        Ok(real) if !real.starts_with(root) => Err("it is not in this repository"),
        Ok(real) => Ok(real),
    }
}
