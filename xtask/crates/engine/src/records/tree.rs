//! The state of the working tree, as one value that changes with every file that git would see.

use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};

use crate::context::Context;
use crate::provenance::Commit;
use host::files;

/// So many characters of a hash tell states apart.
const SHORT: usize = 16;

/// What is checked out, and a hash of all that differs from it; `None` outside of git or before the first commit.
///
/// # Errors
/// When a file that git does not know yet cannot be read.
pub fn commit(context: &Context) -> Result<Option<Commit>> {
    let git = |args: &[&str]| {
        let cmd = context.docker.runner.cmd("git").dir(context.repository.root());
        cmd.env("GIT_OPTIONAL_LOCKS", "0").args(args.iter().copied()).read()
    };
    let Ok(id) = git(&["rev-parse", "--verify", "--quiet", "HEAD"]) else { return Ok(None) };
    let changed = git(&["diff", "--no-ext-diff", "--binary", "HEAD"]).context("cannot tell what changed")?;
    let strangers = git(&["ls-files", "--others", "--exclude-standard", "-z"])
        .context("cannot tell what git does not know")?;
    let mut hash = Sha256::new();
    hash.update(changed.as_bytes());
    for name in strangers.split('\0').filter(|name| !name.is_empty()) {
        hash.update(name.as_bytes());
        // What is no file to read (a socket, a folder that is a repository of its own) counts by its name.
        let content = match context.repository.file(name).filter(|path| path.is_file()) {
            Some(path) => files::read_bytes_if_there(&path)?.unwrap_or_default(),
            None => Vec::new(),
        };
        hash.update(content.len().to_le_bytes());
        hash.update(&content);
    }
    let is_clean = changed.trim().is_empty() && strangers.is_empty();
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Commit { id: id.trim().to_owned(), changes: (!is_clean).then(|| hex[..SHORT].to_owned()) }))
}
