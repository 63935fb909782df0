//! Walks a context as BuildKit's client does (tonistiigi/fsutil, `filterFS.Walk`).

use std::ffi::OsString;
use std::fs::{self, DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::context_files::{ContextFile, ContextFileKind, unreadable};
use engine::dockerignore::{IgnoreFile, Inherited};
use host::file_state::FileState;

/// A visited folder, sent or not.
struct Folder {
    /// Relative to the context.
    path: PathBuf,
    /// `None` for the context itself, which is not sent.
    parent: Option<usize>,
    mode: u32,
    inherited: Option<Inherited>,
    is_ignored: bool,
    is_sent: bool,
}

/// The paths that a context sends, in no order.
pub(super) fn walk(root: &Path, ignore: &IgnoreFile) -> Result<Vec<ContextFile>> {
    let top = Folder {
        path: PathBuf::new(),
        parent: None,
        mode: 0,
        inherited: None,
        is_ignored: false,
        is_sent: true,
    };
    let mut walk = Walk { root, ignore, folders: vec![top], files: Vec::new() };
    let mut next = 0;
    while next < walk.folders.len() {
        walk.folder(next)?;
        next += 1;
    }
    let folders = walk
        .folders
        .into_iter()
        .skip(1)
        .filter(|folder| folder.is_sent)
        .map(|folder| ContextFile { path: folder.path, mode: folder.mode, kind: ContextFileKind::Folder });
    walk.files.extend(folders);
    Ok(walk.files)
}

struct Walk<'w> {
    root: &'w Path,
    ignore: &'w IgnoreFile,
    folders: Vec<Folder>,
    files: Vec<ContextFile>,
}

impl Walk<'_> {
    fn folder(&mut self, index: usize) -> Result<()> {
        let folder = &self.folders[index];
        let path = self.root.join(&folder.path);
        let entries = match fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if has_vanished(&error) => return Ok(()),
            // BuildKit skips it too.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && folder.is_ignored => return Ok(()),
            Err(error) => return Err(unreadable(&path, &error)),
        };
        entries.iter().try_for_each(|entry| self.entry(index, entry))
    }

    fn entry(&mut self, parent: usize, entry: &DirEntry) -> Result<()> {
        let folder = &self.folders[parent];
        let path = folder.path.join(entry.file_name());
        let name = path.as_os_str().as_bytes();
        let (is_ignored, inherited) = self.ignore.ignores(name, folder.inherited.as_ref());
        let is_folder = match entry.file_type() {
            Ok(kind) => kind.is_dir(),
            Err(error) if has_vanished(&error) => return Ok(()),
            Err(error) => return Err(unreadable(&entry.path(), &error)),
        };
        if is_ignored && (!is_folder || self.ignore.skips(name)) {
            return Ok(());
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if has_vanished(&error) => return Ok(()),
            Err(error) => return Err(unreadable(&entry.path(), &error)),
        };
        let mode = metadata.mode() & 0o7777;
        if metadata.is_dir() {
            let (parent, inherited) = (Some(parent), Some(inherited));
            self.folders.push(Folder { path, parent, mode, inherited, is_ignored, is_sent: false });
            if !is_ignored {
                self.send(self.folders.len() - 1);
            }
        } else if !is_ignored && let Some(kind) = kind(&entry.path(), &metadata)? {
            self.files.push(ContextFile { path, mode, kind });
            self.send(parent);
        }
        Ok(())
    }

    /// Marks a folder and those above it.
    fn send(&mut self, index: usize) {
        let mut next = Some(index);
        while let Some(index) = next
            && !self.folders[index].is_sent
        {
            self.folders[index].is_sent = true;
            next = self.folders[index].parent;
        }
    }
}

/// `None` for a link that has vanished.
fn kind(path: &Path, metadata: &Metadata) -> Result<Option<ContextFileKind>> {
    let kind = metadata.file_type();
    Ok(Some(if kind.is_symlink() {
        match fs::read_link(path).map(OsString::from) {
            Ok(target) => ContextFileKind::Link(target),
            Err(error) if has_vanished(&error) => return Ok(None),
            Err(error) => return Err(unreadable(path, &error)),
        }
    } else if kind.is_file() {
        ContextFileKind::File(FileState::of(metadata))
    } else if kind.is_fifo() {
        ContextFileKind::Pipe
    } else if kind.is_socket() {
        ContextFileKind::Socket
    } else {
        ContextFileKind::Device { is_block: kind.is_block_device(), number: metadata.rdev() }
    }))
}

/// Whether the file or one of its folders was removed after it was listed.
pub(super) fn has_vanished(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
