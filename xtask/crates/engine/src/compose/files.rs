//! The files Compose reads by default.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::variables::Variables;
use host::files;
use host::paths::Repository;

/// The main files Compose looks for, in its order.
pub const MAIN_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The override files it reads beside any of them, in its order.
pub(crate) const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// The files Compose reads in the repository's root: those of `COMPOSE_FILE`, else the first main file with the first override
/// file.
pub fn default_files(repository: &Repository, variables: &Variables) -> Vec<PathBuf> {
    let root = repository.root();
    if let Some(named) = variables.get("COMPOSE_FILE") {
        let separator = variables.get("COMPOSE_PATH_SEPARATOR").unwrap_or(":");
        return named.split(separator).filter(|name| !name.is_empty()).map(|name| root.join(name)).collect();
    }
    let first = |names: &[&str]| names.iter().map(|name| root.join(name)).find(|path| path.is_file());
    let main = first(&MAIN_FILES);
    let overriding = main.as_ref().and_then(|_| first(&OVERRIDES));
    main.into_iter().chain(overriding).collect()
}

/// The folder of a Compose file, symlinks resolved. That of the first file is Compose's project directory.
///
/// # Errors
/// When it does not exist.
pub fn folder_of(file: &Path) -> Result<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    files::real_path(folder.unwrap_or(Path::new(".")))
}
