//! Reading, atomic writing and locking of files. Every error names the path.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Failure;

/// Reads a text file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a text file; `None` when it does not exist.
///
/// # Errors
/// When it cannot be read.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads a file of any content; `None` when it does not exist.
///
/// # Errors
/// When it cannot be read.
pub fn read_bytes_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The absolute path, symbolic links resolved.
///
/// # Errors
/// When nothing exists there.
pub fn real_path(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
}

/// Writes a file atomically: readers see the old content or the new, also after a crash.
///
/// # Errors
/// When it cannot be written; the old content then remains.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |file| file.set_permissions(Permissions::from_mode(0o644)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The same for an existing file, which keeps its mode and owner. `path` must not be a symbolic link, which would be replaced
/// by a file.
///
/// # Errors
/// When it cannot be written; the old content then remains.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let keep = |file: &File| -> std::io::Result<()> {
        let old = fs::metadata(path)?;
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        // After the owner: changing the owner clears setuid and setgid.
        file.set_permissions(old.permissions())
    };
    write_whole(path, bytes, keep).with_context(|| format!("cannot write {}", path.display()))
}

/// The same for a private file (mode 0600 from the first byte). An existing file keeps its owner; a symbolic link to it
/// remains a link.
///
/// # Errors
/// When it cannot be written; the old content then remains.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let keep = |file: &File| {
        if let Ok(old) = fs::metadata(path) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(0o600))
    };
    write_whole(path, bytes, keep).with_context(|| format!("cannot write {}", path.display()))
}

fn write_whole(
    path: &Path,
    bytes: &[u8],
    prepare: impl FnOnce(&File) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
    // A killed run with the same process ID may have left one.
    fs::remove_file(&temporary).ok();
    // Private until it has its final mode; `create_new` does not follow a link that someone else put there.
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = prepare(&file)
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        fs::remove_file(&temporary).ok();
    }
    written?;
    // The rename must be on disk too.
    File::open(dir)?.sync_all()
}

/// Removes a file, if it exists.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// When it cannot be created.
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Creates a folder that every user can read, whatever the umask: containers run as an unprivileged user.
///
/// # Errors
/// When it cannot be created or opened to others.
pub fn create_public_dir(path: &Path) -> Result<()> {
    create_dir(path)?;
    let about = fs::metadata(path).with_context(|| format!("cannot read the mode of {}", path.display()))?;
    if about.permissions().mode() & 0o755 == 0o755 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} readable for all users", path.display()))
}

/// Removes a folder and its content, if it exists.
///
/// # Errors
/// When something cannot be removed.
pub fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// An exclusive lock between runs; the kernel releases it even after SIGKILL.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// When another process holds it; names that process.
    pub fn take(path: &Path) -> Result<Lock> {
        let mut file = Lock::open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // For the error message of others; the lock itself is in the kernel.
                file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).ok();
                Ok(Lock(file))
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                Err(held(&holder).into())
            }
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Waits for the lock: for locks that are held only briefly.
    ///
    /// # Errors
    /// When it cannot be opened or locked.
    pub fn wait(path: &Path) -> Result<Lock> {
        let file = Lock::open(path)?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Lock(file))
    }

    /// The lock for another process: it is held until both have closed it.
    ///
    /// # Errors
    /// When this process has too many open files.
    pub fn share(&self) -> Result<File> {
        self.0.try_clone().context("cannot share a lock")
    }

    fn open(path: &Path) -> Result<File> {
        if let Some(dir) = path.parent() {
            create_dir(dir)?;
        }
        let mut options = File::options();
        let options = options.create(true).truncate(false).read(true).write(true);
        options.open(path).with_context(|| format!("cannot open {}", path.display()))
    }
}

/// `holder` is the process ID that the other run wrote, or empty.
fn held(holder: &str) -> Failure {
    let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
    Failure::machine(format!("another run{who} is active in this checkout"), "wait until it ends, or stop it")
}
