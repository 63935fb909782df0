//! The files of a build's context: all that a build can read of it, and one hash over them.
//!
//! BuildKit transfers only what a Dockerfile's instructions name, so this is a superset. It counts what BuildKit's own cache keys
//! count (moby/buildkit, `cache/contenthash`): paths, kinds, all mode bits, link texts, contents and extended attributes; not times,
//! and not owners, which are always root in a build. Two names of one file count as two files.
//!
//! The Dockerfile and the ignore file are not part of it, unless the context sends them like any other file.

mod digests;
mod walk;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use crate::context_files::digests::{Digest, ReadFile, attributes, read};
use crate::context_files::walk::{has_vanished, walk};
use engine::dockerignore::IgnoreFile;
use host::failure::{Failure, FailureClass};
use host::file_state::FileState;
use host::files;

pub use crate::context_files::digests::FileDigests;

/// Precedes the hashed bytes. Raise the number if the hash of unchanged files changes.
const HEADER: &[u8] = b"context files 1\0";

/// The paths that a context sends, sorted by their bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct ContextFiles {
    root: PathBuf,
    files: Vec<ContextFile>,
}

/// A path that a context sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFile {
    /// Relative to the context.
    pub path: PathBuf,
    /// The permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// What it is.
    pub kind: ContextFileKind,
}

/// What a path of a context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextFileKind {
    /// A regular file, as it was when the context was listed.
    File(FileState),
    /// A folder: one that is sent, or that contains something sent.
    Folder,
    /// A symbolic link, with its text. The context does not follow it.
    Link(OsString),
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A device.
    Device {
        /// Not a character device.
        is_block: bool,
        /// Major and minor number, as the kernel packs them.
        number: u64,
    },
}

/// The hash of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextHash {
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// How many regular files it covers.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

impl ContextFiles {
    /// Lists what a build's main context sends. A Dockerfile without a file of its own has no path.
    ///
    /// # Errors
    /// When a folder or the ignore file cannot be read, or the ignore file has an invalid pattern.
    pub fn list(context: &Path, dockerfile: Option<&Path>) -> Result<ContextFiles> {
        let ignore = IgnoreFile::of(context, dockerfile)?;
        ContextFiles::filtered(context, &ignore)
    }

    /// Lists what a named context sends: it has no ignore file but its own.
    ///
    /// # Errors
    /// As for [`ContextFiles::list`].
    pub fn of_named_context(context: &Path) -> Result<ContextFiles> {
        ContextFiles::list(context, None)
    }

    /// Lists what a context sends with these patterns.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn filtered(context: &Path, ignore: &IgnoreFile) -> Result<ContextFiles> {
        let root = files::real_path(context)?;
        if !root.is_dir() {
            let what = format!("the build context is not a folder: {}", context.display());
            return Err(Failure::new(FailureClass::Usage, what, "name a folder").into());
        }
        let mut files = walk(&root, ignore)?;
        files.sort_unstable_by(|a, b| a.path.as_os_str().as_bytes().cmp(b.path.as_os_str().as_bytes()));
        Ok(ContextFiles { root, files })
    }

    /// The paths, sorted.
    pub fn files(&self) -> &[ContextFile] {
        &self.files
    }

    /// The hash over all of them. Files that have vanished since they were listed are left out.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn hash(&self, digests: &mut FileDigests) -> Result<ContextHash> {
        let contents = self.contents(digests)?;
        let mut hash = Sha256::new();
        hash.update(HEADER);
        let (mut count, mut bytes) = (0, 0);
        for (file, content) in self.files.iter().zip(contents) {
            let (kind, content) = match (&file.kind, content) {
                (ContextFileKind::File(_), None) => continue,
                (ContextFileKind::File(state), Some(digest)) => {
                    count += 1;
                    bytes += state.bytes();
                    (0, digest.to_vec())
                }
                (kind, _) => match self.facts(file, kind)? {
                    Some(facts) => facts,
                    None => continue,
                },
            };
            hash.update([kind]);
            hash.update(file.mode.to_le_bytes());
            // Each part is preceded by its length, so that different contexts never give the same bytes.
            for part in [file.path.as_os_str().as_bytes(), &content] {
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
                hash.update(part);
            }
        }
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(ContextHash { hash, files: count, bytes })
    }

    /// The number of a kind other than files, and what counts of it. `None` if it has vanished.
    fn facts(&self, file: &ContextFile, kind: &ContextFileKind) -> Result<Option<(u8, Vec<u8>)>> {
        let (number, facts) = match kind {
            ContextFileKind::File(_) => return Ok(None),
            ContextFileKind::Folder => (1, Vec::new()),
            ContextFileKind::Link(target) => (2, target.as_bytes().to_vec()),
            ContextFileKind::Pipe => (3, Vec::new()),
            ContextFileKind::Socket => (4, Vec::new()),
            ContextFileKind::Device { is_block, number } => {
                (5 + u8::from(*is_block), number.to_le_bytes().to_vec())
            }
        };
        let path = self.root.join(&file.path);
        match attributes(&path) {
            Ok(attributes) => Ok(Some((number, [attributes, facts].concat()))),
            Err(error) if has_vanished(&error) => Ok(None),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// The digests of the regular files; `None` for vanished files and other kinds.
    fn contents(&self, digests: &mut FileDigests) -> Result<Vec<Option<Digest>>> {
        let known = self.files.iter().map(|file| match &file.kind {
            ContextFileKind::File(state) => digests.get(state),
            _ => None,
        });
        let mut contents: Vec<Option<Digest>> = known.collect();
        let is_unknown = |index: &usize| {
            contents[*index].is_none() && matches!(self.files[*index].kind, ContextFileKind::File(_))
        };
        let unknown: Vec<usize> = (0..self.files.len()).filter(is_unknown).collect();
        let read = self.read_all(&unknown)?;
        for (index, read) in unknown.into_iter().zip(read) {
            if let Some(read) = read {
                digests.insert(&read);
                contents[index] = Some(read.digest);
            }
        }
        Ok(contents)
    }

    /// Reads files on all cores.
    fn read_all(&self, indexes: &[usize]) -> Result<Vec<Option<ReadFile>>> {
        let read_some = |indexes: &[usize]| -> Result<Vec<Option<ReadFile>>> {
            indexes.iter().map(|index| self.read(&self.files[*index])).collect()
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let parts: Vec<Result<Vec<Option<ReadFile>>>> = thread::scope(|scope| {
            let parts = indexes.chunks(indexes.len().div_ceil(cores).max(1));
            let running: Vec<_> = parts.map(|part| scope.spawn(|| read_some(part))).collect();
            let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
            ended.map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        Ok(parts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Reads a file; `None` if it has vanished.
    fn read(&self, file: &ContextFile) -> Result<Option<ReadFile>> {
        let path = self.root.join(&file.path);
        match read(&path) {
            Ok(read) => Ok(Some(read)),
            Err(error) if has_vanished(&error) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let what = format!("{} was replaced while it was read", path.display());
                Err(Failure::machine(what, "run again when nothing writes to the build context").into())
            }
            Err(error) => Err(unreadable(&path, &error)),
        }
    }
}

/// BuildKit would copy an unreadable file as an empty one.
fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let what = format!("cannot read {}: {error}", path.display());
    Failure::machine(what, "make it readable, or name it in the build's `.dockerignore`").into()
}

#[cfg(test)]
mod tests;
