//! The state of the working tree as one value that changes with every file that git does not ignore.

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::provenance::Commit;
use host::files;

/// Characters of the hash that are kept.
const SHORT: usize = 16;

/// The commit that is checked out, and a hash of everything that differs from it; `None` outside git or before the first
/// commit.
///
/// # Errors
/// When git fails or an untracked file cannot be read.
pub fn commit(context: &Context) -> Result<Option<Commit>> {
    let git = context.git();
    if let Some(id) = git.clean_head() {
        return Ok(Some(Commit { id, changes: None }));
    }
    let Some(id) = git.head() else { return Ok(None) };
    let changes = git.changes()?;
    let mut hash = Sha256::new();
    hash.update(changes.diff.as_bytes());
    for name in &changes.untracked {
        hash.update(name.as_bytes());
        // Sockets and nested repositories count by their names.
        let content = match context.repository.file(name).filter(|path| path.is_file()) {
            Some(path) => files::read_bytes_if_there(&path)?.unwrap_or_default(),
            None => Vec::new(),
        };
        hash.update(content.len().to_le_bytes());
        hash.update(&content);
    }
    let is_clean = changes.diff.is_empty() && changes.untracked.is_empty();
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Commit { id, changes: (!is_clean).then(|| hex[..SHORT].to_owned()) }))
}
