//! Files that are written whole or not at all, and the lock that keeps two runs apart.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Failure;

/// Reads a text file.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a text file that may be absent.
///
/// # Errors
/// Names the file, for every reason but its absence.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Reads a file that may be absent, whatever is in it.
///
/// # Errors
/// Names the file, for every reason but its absence.
pub fn read_bytes_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The file that a path leads to, links followed.
///
/// # Errors
/// Names the path, when nothing is there.
pub fn real_path(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()))
}

/// Writes a file so that whoever reads it, at any moment and after any crash, sees the old bytes or the new ones.
///
/// # Errors
/// Names the file; the old bytes then still stand.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |file| file.set_permissions(Permissions::from_mode(0o644)))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The same for a file that is there already: it keeps its mode and its owner. `path` is a real path: a link would be
/// replaced by a file.
///
/// # Errors
/// Names the file; the old bytes then still stand.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let keep = |file: &File| -> std::io::Result<()> {
        let old = fs::metadata(path)?;
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        // After the owner, since a change of owner clears the bits for setuid and setgid.
        file.set_permissions(old.permissions())
    };
    write_whole(path, bytes, keep).with_context(|| format!("cannot write {}", path.display()))
}

/// The same for a file that is its owner's alone (mode 0600), from its first byte on. One that is there keeps its owner, and
/// a link to it stays a link.
///
/// # Errors
/// Names the file; the old bytes then still stand.
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
    // Left behind by a run that was killed and had this process's number.
    fs::remove_file(&temporary).ok();
    // Only its owner's until it has the mode that it is to have; and never through a link that someone put there.
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = prepare(&file)
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        fs::remove_file(&temporary).ok();
    }
    written?;
    // The rename itself must be on disk before anyone relies on it.
    File::open(dir)?.sync_all()
}

/// Removes a file; its absence is fine.
///
/// # Errors
/// Names the file.
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
/// Names the folder.
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Creates a folder that everyone may look into, whatever this process's umask is: containers run as nobody in particular.
///
/// # Errors
/// Names the folder.
pub fn create_public_dir(path: &Path) -> Result<()> {
    create_dir(path)?;
    let about = fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    if about.permissions().mode() & 0o755 == 0o755 {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot let others read {}", path.display()))
}

/// Removes a folder with all that is in it; its absence is fine.
///
/// # Errors
/// Names the folder.
pub fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Held while a run changes images; the operating system gives it back even after SIGKILL.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its lifetime")] File);

impl Lock {
    /// Takes the lock or says who holds it.
    ///
    /// # Errors
    /// When another process holds it.
    pub fn take(path: &Path) -> Result<Lock> {
        let mut file = Lock::open(path)?;
        match file.try_lock() {
            Ok(()) => {
                // Only for the message below: the lock itself is the kernel's.
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

    /// Takes the lock as soon as nobody holds it: for what is held for moments only.
    ///
    /// # Errors
    /// When it cannot be opened or locked.
    pub fn wait(path: &Path) -> Result<Lock> {
        let file = Lock::open(path)?;
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(Lock(file))
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

/// Another run holds the lock; `holder` is its process number, where it left one.
fn held(holder: &str) -> Failure {
    let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
    Failure::machine(format!("another run is at work in this checkout{who}"), "wait for it, or stop it")
}
