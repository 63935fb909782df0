//! Files that are written whole or not at all, and the lock that keeps two runs apart.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

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

/// Writes a file so that whoever reads it, at any moment and after any crash, sees the old bytes or the new ones.
///
/// # Errors
/// Names the file; the old bytes then still stand.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
        let mut file = File::create(&temporary)?;
        let written =
            file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            fs::remove_file(&temporary).ok();
        }
        written?;
        // The rename itself must be on disk before anyone relies on it.
        File::open(dir)?.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
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

/// Another process holds the lock; its number where it left one.
#[derive(Debug)]
pub struct Held(String);

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.0.is_empty() { String::new() } else { format!(" (process {})", self.0) };
        write!(f, "another run{who} is building images in this checkout; wait for it, or stop it")
    }
}

impl std::error::Error for Held {}

/// Held while a run changes images; the operating system gives it back even after SIGKILL.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held for its lifetime")] File);

impl Lock {
    /// Takes the lock or says who holds it.
    ///
    /// # Errors
    /// When another process holds it.
    pub fn take(path: &Path) -> Result<Lock> {
        if let Some(dir) = path.parent() {
            create_dir(dir)?;
        }
        let mut options = File::options();
        let mut file = options
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => {
                // Only for the message below: the lock itself is the kernel's.
                file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).ok();
                Ok(Lock(file))
            }
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                Err(Held(holder).into())
            }
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("cannot lock {}", path.display())),
        }
    }
}
