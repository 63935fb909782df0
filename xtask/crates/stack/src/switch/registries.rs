//! The registries that this checkout's switches have written to Compose files. Later switches recognize them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use host::files;
use host::paths::Repository;
use model::image_ref::Registry;

/// Reads the record; a missing file is an empty record.
///
/// # Errors
/// When it cannot be read or is damaged.
pub fn read(repository: &Repository) -> Result<BTreeSet<String>> {
    let path = repository.switched_registries();
    let Some(text) = files::read_if_there(&path)? else { return Ok(BTreeSet::new()) };
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is damaged\nhelp: remove it and add your registries to `registries` in the manifest",
            path.display()
        )
    })
}

/// Adds a registry.
///
/// # Errors
/// As [`read`], and when the file cannot be written.
pub fn add(registry: &Registry, repository: &Repository) -> Result<()> {
    let mut registries = read(repository)?;
    if registries.insert(registry.to_string()) {
        let text = serde_json::to_string(&registries)?;
        files::write_atomically(&repository.switched_registries(), text.as_bytes())?;
    }
    Ok(())
}
