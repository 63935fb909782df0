//! The files that Compose starts with, and the variables it sees.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use crate::compose::files::{default_files, folder_of};
use crate::context::Context;
use crate::variables::Variables;
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
    /// Variables that Compose does not see if it is given the files with `--file`.
    pub hidden: BTreeMap<String, String>,
}

impl ComposeInput {
    /// Input from the `named` files, or else from the default ones. Compose reads the `.env` of its project directory, which is the
    /// first file's folder. If `COMPOSE_FILE` is in the root's `.env`, Compose has read that one first (docker/compose,
    /// `cmd/compose/compose.go`).
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
            _ => return Ok(ComposeInput { files, variables: root.clone(), root, hidden: BTreeMap::new() }),
        };
        let variables = Variables::of_project(&folder, context)?;
        if named.is_empty() && root.source("COMPOSE_FILE") == ".env" {
            let hidden = root.of_file().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            return Ok(ComposeInput { files, variables: root.clone().or(variables), root, hidden });
        }
        Ok(ComposeInput { files, variables, root, hidden: BTreeMap::new() })
    }
}
