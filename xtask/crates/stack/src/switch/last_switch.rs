//! Writing a switch, and undoing it: exactly one is remembered, as the bytes of every file before and after.

use anyhow::{Context as _, Result};
use host::program::PROGRAM;
use serde::{Deserialize, Serialize};

use crate::switch::files::PlannedFile;
use host::failure::{Failure, FailureClass};
use host::files;
use host::paths::Repository;

/// The last switch as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct LastSwitch {
    files: Vec<SwitchedFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SwitchedFile {
    /// Relative to the repository.
    name: String,
    before: String,
    after: String,
}

/// Writes the edited files. The switch is stored first, so that it can be undone after a kill at any moment.
///
/// # Errors
/// A file that changed since it was read, or cannot be written.
pub fn write(repository: &Repository, planned: &[&PlannedFile]) -> Result<()> {
    for file in planned {
        if files::read(&file.path)? != file.text {
            let what = format!("{} changed while it was being switched; no file was written", file.name);
            return Err(Failure::new(FailureClass::Failed, what, "run the command again").into());
        }
    }
    let switched = |file: &&PlannedFile| SwitchedFile {
        name: file.name.clone(),
        before: file.text.clone(),
        after: file.switched(),
    };
    let last = LastSwitch { files: planned.iter().map(switched).collect() };
    // Compose files may hold secrets, so the copy is readable by its owner alone.
    files::write_private(&repository.compose_journal(), serde_json::to_string(&last)?.as_bytes())?;
    for (file, switched) in planned.iter().zip(&last.files) {
        files::replace(&file.path, switched.after.as_bytes()).with_context(|| {
            format!("some files may already be switched: `{PROGRAM} compose-switch --undo` restores them")
        })?;
    }
    Ok(())
}

/// Restores the files of the last switch and forgets it. Returns the names of the restored files.
///
/// # Errors
/// A file that differs from what the switch wrote; no file is restored then.
pub fn undo(repository: &Repository) -> Result<Vec<String>> {
    let path = repository.compose_journal();
    let Some(text) = files::read_if_there(&path)? else { return Ok(Vec::new()) };
    let last: LastSwitch = serde_json::from_str(&text).map_err(|error| {
        let what = format!("{} is damaged: {error}", path.display());
        Failure::new(FailureClass::Failed, what, "remove it; the last switch cannot be undone")
    })?;
    let mut restore = Vec::new();
    for file in &last.files {
        let target = repository.root().join(&file.name);
        let now = files::read_if_there(&target)?;
        if now.as_deref() == Some(file.after.as_str()) {
            restore.push((files::real_path(&target)?, file));
        } else if now.as_deref() != Some(file.before.as_str()) {
            let what = format!("{} changed since the last switch; no file was restored", file.name);
            let remedy = "undo that change first, or restore the file with git";
            return Err(Failure::new(FailureClass::Failed, what, remedy).into());
        }
    }
    for (target, file) in &restore {
        files::replace(target, file.before.as_bytes()).context("run --undo again")?;
    }
    files::remove(&path)?;
    Ok(restore.into_iter().map(|(_, file)| file.name.clone()).collect())
}
