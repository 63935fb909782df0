//! Detects changed files by their metadata (stat(2)), and reads extended attributes (xattr(7)).

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{OFlags, lgetxattr, lgetxattr_query, llistxattr, llistxattr_query};
use rustix::io::Errno;

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// Times since 1970 in nanoseconds; a change in 2262 or later is never older than anything.
fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.checked_mul(SECOND).and_then(|time| time.checked_add(rest)).unwrap_or(i64::MAX)
}

/// A point in time, to compare with changes of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i64);

impl Moment {
    /// Now, by the machine's clock.
    pub fn now() -> Moment {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Some seconds earlier.
    pub fn minus_seconds(self, seconds: i64) -> Moment {
        Moment(self.0.saturating_sub(seconds.saturating_mul(SECOND)))
    }
}

/// The identity of a file and of its content: files with the same state have the same content, unless the state is younger than the
/// clock of the file system can tell apart (see [`FileState::is_older_than`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileState {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Of the content and of the state, in nanoseconds since 1970.
    modified: i64,
    changed: i64,
}

impl FileState {
    /// The bytes of a stored state.
    pub const LENGTH: usize = 40;

    /// The state of a file.
    pub fn of(metadata: &Metadata) -> FileState {
        FileState {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// The size in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the last change is older. A younger file may change again without a new state (git documentation, `racy-git`).
    pub fn is_older_than(&self, moment: Moment) -> bool {
        self.modified.max(self.changed) < moment.0
    }

    /// The time of the last change.
    pub fn last_change(&self) -> Moment {
        Moment(self.modified.max(self.changed))
    }

    /// For a cache on this machine.
    pub fn to_bytes(self) -> [u8; FileState::LENGTH] {
        let mut bytes = [0; FileState::LENGTH];
        let numbers = [
            self.device.to_le_bytes(),
            self.inode.to_le_bytes(),
            self.bytes.to_le_bytes(),
            self.modified.to_le_bytes(),
            self.changed.to_le_bytes(),
        ];
        bytes.copy_from_slice(numbers.as_flattened());
        bytes
    }

    /// The reverse of [`FileState::to_bytes`].
    pub fn from_bytes(bytes: [u8; FileState::LENGTH]) -> FileState {
        let (numbers, _) = bytes.as_chunks::<8>();
        FileState {
            device: u64::from_le_bytes(numbers[0]),
            inode: u64::from_le_bytes(numbers[1]),
            bytes: u64::from_le_bytes(numbers[2]),
            modified: i64::from_le_bytes(numbers[3]),
            changed: i64::from_le_bytes(numbers[4]),
        }
    }
}

/// Opens a file for reading, but follows no link in its last part and does not wait for the other end of a pipe.
///
/// # Errors
/// When it cannot be opened; [`io::ErrorKind::InvalidData`] for a link.
pub fn open_itself(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => io::ErrorKind::InvalidData.into(),
        _ => error,
    })
}

/// The extended attributes of a file, or of a link itself, by name. Those that vanish meanwhile or are not readable are left out;
/// none on file systems that have none.
///
/// # Errors
/// When they cannot be listed.
pub fn extended_attributes(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let names = match grown(|| llistxattr_query(path), |buffer| llistxattr(path, buffer)) {
        Err(Errno::NOTSUP) => return Ok(BTreeMap::new()),
        names => names?,
    };
    let mut attributes = BTreeMap::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let value = grown(|| lgetxattr_query(path, name), |buffer| lgetxattr(path, name, buffer));
        if let Ok(value) = value {
            attributes.insert(name.to_bytes().to_vec(), value);
        }
    }
    Ok(attributes)
}

/// Reads a value whose length may change between the question for it and the reading.
fn grown(
    length: impl Fn() -> rustix::io::Result<usize>,
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    loop {
        let mut buffer = vec![0; length()?];
        if buffer.is_empty() {
            return Ok(buffer);
        }
        match read(&mut buffer) {
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{XattrFlags, setxattr};
    use std::fs;

    #[test]
    fn states_survive_storage_and_tell_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "a").unwrap();
        let state = FileState::of(&fs::metadata(&path).unwrap());
        assert_eq!(FileState::from_bytes(state.to_bytes()), state);
        assert_eq!(state.bytes(), 1);
        assert!(!state.is_older_than(state.last_change()), "as old is not older");
        assert!(!state.is_older_than(state.last_change().minus_seconds(1)));
        assert!(state.is_older_than(state.last_change().minus_seconds(-1)));
        fs::write(&path, "ab").unwrap();
        assert_ne!(FileState::of(&fs::metadata(&path).unwrap()), state);
    }

    #[test]
    fn times_out_of_range_are_never_old() {
        assert_eq!(nanoseconds(1, 5), 1_000_000_005);
        assert_eq!(nanoseconds(i64::MAX / 2, 0), i64::MAX);
    }

    #[test]
    fn links_and_pipes_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "a").unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        assert!(open_itself(&file).is_ok());
        assert_eq!(open_itself(&link).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn extended_attributes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "a").unwrap();
        let has = |name: &[u8]| extended_attributes(&path).unwrap().remove(name);
        assert_eq!(has(b"user.a"), None);
        match setxattr(&path, "user.a", b"value", XattrFlags::empty()) {
            // Such as older versions of tmpfs.
            Err(Errno::NOTSUP) => assert_eq!(extended_attributes(&path).unwrap(), BTreeMap::new()),
            set => {
                set.unwrap();
                assert_eq!(has(b"user.a").unwrap(), b"value");
            }
        }
        assert!(extended_attributes(&folder.path().join("missing")).is_err());
    }
}
