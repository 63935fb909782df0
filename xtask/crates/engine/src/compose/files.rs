//! The files Compose reads by default.

use std::path::PathBuf;

use crate::variables::Variables;
use host::paths::Repository;

/// The main files Compose looks for, in its order.
pub const MAIN_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The override files it reads beside any of them, in its order.
const OVERRIDES: [&str; 4] = [
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
