//! Reading, atomic writing and locking of files. Every error names the path.

use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

use crate::failure::{Failure, FailureClass, is_disk_full};
use crate::layout::STATE;

/// Reads a text file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The path without `.` and `..`, symlinks not resolved.
pub fn lexical(path: &Path) -> PathBuf {
    let mut lexical = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(lexical.pop()),
            part => lexical.push(part),
        }
    }
    lexical
}

/// Reads a text file; `None` when it does not exist.
///
/// # Errors
/// When it cannot be read.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
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
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
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

/// Writes a file atomically: readers see either the old or the new content, even after a crash. An existing file keeps its
/// mode.
///
/// Devices and pipes are written to in place. Symbolic links are followed.
///
/// # Errors
/// When it cannot be written; the old content then remains.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |file, old| {
        file.set_permissions(old.map_or(Permissions::from_mode(0o644), Metadata::permissions))
    })
}

/// Like [`write_atomically`], but the file must exist, and keeps its owner as well as its mode.
///
/// # Errors
/// When it cannot be written; the old content then remains.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |file, old| {
        let old = old.ok_or(ErrorKind::NotFound)?;
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        // After the owner: changing the owner clears setuid and setgid.
        file.set_permissions(old.permissions())
    })
}

/// Like [`write_atomically`], but with mode 0600 from the first byte. An existing file keeps its owner.
///
/// # Errors
/// When it cannot be written; the old content then remains.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, bytes, |file, old| {
        if let Some(old) = old {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(0o600))
    })
}

/// Sets the mode and owner of the new file, given the metadata of the old one.
type Prepare = fn(&File, Option<&Metadata>) -> io::Result<()>;

fn write_whole(path: &Path, bytes: &[u8], prepare: Prepare) -> Result<()> {
    try_write_whole(path, bytes, prepare).map_err(|error| {
        let what = format!("cannot write {}: {error}", path.display());
        if is_disk_full(&error) {
            return Failure::new(FailureClass::Disk, what, "free space on its disk, then run again").into();
        }
        anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
    })
}

fn try_write_whole(path: &Path, bytes: &[u8], prepare: Prepare) -> io::Result<()> {
    let old = fs::metadata(path).ok();
    match &old {
        Some(old) if old.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        Some(old) if !old.is_file() => return File::options().write(true).open(path)?.write_all(bytes),
        _ => {}
    }
    let path = &link_target(path)?;
    let dir = folder(path);
    make_dir(dir)?;
    let name = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
    remove_leftovers(dir, &name);
    let mut new = temporary_file(dir, &name)?;
    prepare(new.as_file(), old.as_ref())?;
    new.as_file_mut().write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    // The rename must be on disk too.
    File::open(dir)?.sync_all()
}

/// Suffix of temporary files.
const TEMPORARY: &str = ".new";

/// A file that is removed unless persisted. It is private until it gets its final mode, and locked while this process lives.
fn temporary_file(dir: &Path, name: &str) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(name).suffix(TEMPORARY).tempfile_in(dir);
        // tempfile's own error names the temporary file.
        let file = file.map_err(|error| io::Error::from(error.kind()))?;
        file.as_file().lock()?;
        // Before we locked it, another process may have removed it as a leftover.
        if file.as_file().metadata()?.nlink() > 0 {
            return Ok(file);
        }
    }
}

/// Removes temporary files of killed runs.
fn remove_leftovers(dir: &Path, name: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let other = entry.file_name();
        // tempfile's names have six alphanumeric characters in the middle.
        let middle = other.to_str().and_then(|other| other.strip_prefix(name)?.strip_suffix(TEMPORARY));
        let is_temporary = middle.is_some_and(|middle| {
            middle.len() == 6 && middle.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
        if is_temporary
            && let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            // A leftover that stays only wastes space.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// The folder of a file; `.` for a bare name.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Follows symbolic links. The target need not exist.
fn link_target(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // Linux's limit (path_resolution(7)).
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = folder(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Removes a file, if it exists.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => {
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
    make_dir(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Creates a folder and its parents. The state folder of a repository contains its own `.gitignore`, so users need not
/// edit theirs.
fn make_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let mut folders = path.ancestors();
    let Some(state) = folders.find(|dir| dir.file_name().is_some_and(|name| name == STATE)) else {
        return Ok(());
    };
    match File::options().write(true).create_new(true).open(state.join(".gitignore")) {
        Ok(mut file) => file.write_all(b"*\n"),
        // The user's, or another run's.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
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
        Err(e) if e.kind() != ErrorKind::NotFound => {
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

    /// A handle for another process. The lock is released once both have closed it.
    ///
    /// # Errors
    /// When this process has too many open files.
    pub fn share(&self) -> Result<File> {
        self.0.try_clone().context("cannot share a lock")
    }

    fn open(path: &Path) -> Result<File> {
        create_dir(folder(path))?;
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    use super::*;
    use crate::failure::class_of;

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn the_folder_of_a_bare_name_is_the_current_one() {
        for (path, dir) in [("x", "."), ("./x", "."), ("a/x", "a"), ("/x", "/"), ("../x", "..")] {
            assert_eq!(folder(Path::new(path)), Path::new(dir), "{path}");
        }
    }

    #[test]
    fn missing_folders_are_created_and_leftovers_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/x");
        write_atomically(&path, b"1").unwrap();
        fs::write(folder.path().join("a/b/.x.deaD12.new"), "").unwrap();
        let alive = temporary_file(&folder.path().join("a/b"), ".x.").unwrap();
        write_atomically(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        let alive = alive.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(names(&folder.path().join("a/b")), [alive, "x"]);
    }

    #[test]
    fn a_link_remains_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old"), "old").unwrap();
        symlink("old", at("to-old")).unwrap();
        symlink("to-old", at("to-link")).unwrap();
        symlink("new", at("to-missing")).unwrap();
        symlink("loop", at("loop")).unwrap();
        write_atomically(&at("to-link"), b"1").unwrap();
        write_private(&at("to-missing"), b"2").unwrap();
        assert_eq!((fs::read(at("old")).unwrap(), fs::read(at("new")).unwrap()), (b"1".into(), b"2".into()));
        assert!(["to-old", "to-link", "to-missing"].iter().all(|name| at(name).is_symlink()));
        write_atomically(&at("loop"), b"3").unwrap_err();
    }

    #[test]
    fn an_existing_file_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o600)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write_atomically(&old, b"").unwrap();
        write_atomically(&new, b"").unwrap();
        assert_eq!((mode(&old), mode(&new)), (0o600, 0o644));
        write_private(&new, b"").unwrap();
        assert_eq!(mode(&new), 0o600);
    }

    #[test]
    fn a_device_is_written_to() {
        write_atomically(Path::new("/dev/null"), b"x").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let error = write_atomically(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(class_of(&error), FailureClass::Disk);
        let text = "cannot write /dev/full: No space left on device (os error 28)\nhelp: free space on its disk, then run again";
        assert_eq!(format!("{error:#}"), text);
        assert!(fs::metadata("/dev/full").unwrap().file_type().is_char_device());
    }

    #[test]
    fn a_folder_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomically(folder.path(), b"x").unwrap_err();
        assert!(format!("{error:#}").contains("is a directory"), "{error:#}");
    }
}
