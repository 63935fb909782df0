//! The files that Compose starts with, and the variables it sees.

use std::path::PathBuf;

use anyhow::Result;

use crate::compose::files::{default_files, folder_of};
use crate::context::Context;
use crate::variables::{ENV_FILES, Variables};
use host::files;

/// Compose files and their variables.
#[derive(Debug)]
pub struct ComposeInput {
    /// The files, in Compose's order. They may not exist.
    pub files: Vec<PathBuf>,
    /// The variables of these files.
    pub variables: Variables,
    /// The variables of the repository's root, which also has the settings of xtask.
    pub root: Variables,
    /// Files to pass to Compose with `--env-file`; empty if it finds them itself.
    pub env_files: Vec<PathBuf>,
}

impl ComposeInput {
    /// Input from the `named` files, or else from the default ones. Compose reads the `.env` of its project directory, which is the
    /// first file's folder. If `COMPOSE_FILE` is in the root's `.env`, Compose has read that one first, and its values take precedence
    /// (docker/compose, `cmd/compose/compose.go`).
    ///
    /// # Errors
    /// As [`Variables::read`].
    pub fn read(named: &[PathBuf], context: &Context) -> Result<ComposeInput> {
        let root = Variables::read(context)?;
        let files = match named {
            [] => default_files(&context.repository, &root),
            named => named.to_vec(),
        };
        let folder = files.first().filter(|file| file.is_file()).map(|file| folder_of(file)).transpose()?;
        let folder = match folder {
            Some(folder) if folder != files::real_path(context.repository.root())? => folder,
            _ => return Ok(ComposeInput { files, variables: root.clone(), root, env_files: Vec::new() }),
        };
        let has_named_env_files = root.get(ENV_FILES).is_some();
        if !named.is_empty() || root.source("COMPOSE_FILE") != ".env" || has_named_env_files {
            let variables = Variables::of_project(&folder, context)?;
            return Ok(ComposeInput { files, variables, root, env_files: Vec::new() });
        }
        let [first, second] = [context.repository.root(), &folder].map(|folder| folder.join(".env"));
        // The first one again, so that its values take precedence.
        let mut env_files = vec![first.clone(), second, first];
        env_files.retain(|file| file.is_file());
        let variables = Variables::of_files(&env_files, &folder, context)?;
        Ok(ComposeInput { files, variables, root, env_files })
    }
}
