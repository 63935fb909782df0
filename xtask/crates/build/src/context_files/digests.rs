//! Digests of files by their state, so that only changed files are read again.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest as _, Sha256};

use host::file_state::{FileState, Moment, extended_attributes, open_itself};
use host::files;

/// SHA-256.
pub(super) type Digest = [u8; 32];

/// Precedes the entries. Raise the number if the digest of an unchanged file changes.
const HEADER: &[u8; 16] = b"files' digests 1";

const ENTRY: usize = FileState::LENGTH + size_of::<Digest>();

/// How long a file must have been left alone before its digest is kept: at least as long as the coarsest clock of a file system (FAT's,
/// two seconds).
const SETTLED_SECONDS: i64 = 2;

/// Above this number, entries that this run did not use are dropped.
const MOST: usize = 200_000;

/// Digests of files, kept from run to run. Damaged or missing, the cache is empty.
#[derive(Debug)]
pub struct FileDigests {
    path: PathBuf,
    entries: HashMap<FileState, Entry>,
    /// A file changed after this time may change again without a new state.
    settled: Moment,
    has_new: bool,
}

#[derive(Debug)]
struct Entry {
    digest: Digest,
    is_used: bool,
}

impl FileDigests {
    /// Reads a cache. `now` is the time before the first file is looked at.
    pub fn load(path: PathBuf, now: Moment) -> FileDigests {
        // Start with an empty cache if it cannot be read.
        let bytes = files::read_bytes_if_there(&path).ok().flatten().unwrap_or_default();
        let settled = now.minus_seconds(SETTLED_SECONDS);
        FileDigests { path, entries: parse(&bytes).unwrap_or_default(), settled, has_new: false }
    }

    /// Writes the cache, if anything is new.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self) -> Result<()> {
        if !self.has_new {
            return Ok(());
        }
        let keeps_all = self.entries.len() <= MOST;
        let kept = self.entries.iter().filter(|(_, entry)| keeps_all || entry.is_used);
        let mut kept: Vec<_> = kept.map(|(state, entry)| (state.to_bytes(), entry.digest)).collect();
        kept.sort_unstable();
        let body: Vec<u8> =
            kept.iter().flat_map(|(state, digest)| state.iter().chain(digest)).copied().collect();
        files::write_atomically(&self.path, &[HEADER.as_slice(), &Sha256::digest(&body), &body].concat())
    }

    /// The digest of a file in this state.
    pub(super) fn get(&mut self, state: &FileState) -> Option<Digest> {
        let entry = self.entries.get_mut(state)?;
        entry.is_used = true;
        Some(entry.digest)
    }

    /// Caches the digest of a file, unless the file has just changed.
    pub(super) fn insert(&mut self, read: &ReadFile) {
        if let Some(state) = read.state.filter(|state| state.is_older_than(self.settled)) {
            self.entries.insert(state, Entry { digest: read.digest, is_used: true });
            self.has_new = true;
        }
    }
}

/// The entries of a stored cache; `None` if it is damaged, or of another version.
fn parse(bytes: &[u8]) -> Option<HashMap<FileState, Entry>> {
    let (sum, body) = bytes.strip_prefix(HEADER)?.split_first_chunk::<32>()?;
    let (entries, rest) = body.as_chunks::<ENTRY>();
    if !rest.is_empty() || Sha256::digest(body).as_slice() != sum {
        return None;
    }
    let entry = |entry: &[u8; ENTRY]| {
        let (state, digest) = entry.split_first_chunk()?;
        Some((FileState::from_bytes(*state), Entry { digest: digest.try_into().ok()?, is_used: false }))
    };
    entries.iter().map(entry).collect()
}

/// The digest of a file and its state.
pub(super) struct ReadFile {
    pub(super) digest: Digest,
    /// `None` if it changed while it was read.
    state: Option<FileState>,
}

/// Reads a file with its extended attributes.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] if something else has replaced the file.
pub(super) fn read(path: &Path) -> io::Result<ReadFile> {
    let mut file = open_itself(path)?;
    let before = file.metadata()?;
    if !before.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut hash = Sha256::new();
    hash.update(attributes(path)?);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => hash.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let (before, after) = (FileState::of(&before), FileState::of(&file.metadata()?));
    Ok(ReadFile { digest: hash.finalize().into(), state: (before == after).then_some(after) })
}

/// The extended attributes that BuildKit's cache keys depend on (moby/buildkit, `cache/contenthash/tarsum.go`), with their lengths.
pub(super) fn attributes(path: &Path) -> io::Result<Vec<u8>> {
    let counts = |name: &[u8]| {
        name == b"security.capability"
            || ![&b"security."[..], b"system.", b"com.apple."].iter().any(|prefix| name.starts_with(prefix))
    };
    let mut bytes = Vec::new();
    for (name, value) in extended_attributes(path)?.iter().filter(|(name, _)| counts(name)) {
        for part in [name, value] {
            bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            bytes.extend(part);
        }
    }
    Ok([u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes().as_slice(), &bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const DIGEST: Digest = [7; 32];

    fn state(path: &Path) -> FileState {
        FileState::of(&fs::metadata(path).unwrap())
    }

    /// A folder with one file, and a cache loaded `seconds` after the file changed.
    fn cache(seconds: i64) -> (tempfile::TempDir, PathBuf, FileDigests) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "content").unwrap();
        let now = state(&file).last_change().minus_seconds(-seconds);
        let digests = FileDigests::load(folder.path().join("digests"), now);
        (folder, file, digests)
    }

    #[test]
    fn only_files_at_rest_are_kept() {
        for (seconds, is_kept) in
            [(-5, false), (0, false), (SETTLED_SECONDS, false), (SETTLED_SECONDS + 1, true)]
        {
            let (_folder, file, mut digests) = cache(seconds);
            let read = read(&file).unwrap();
            digests.insert(&read);
            assert_eq!(digests.get(&state(&file)), is_kept.then_some(read.digest), "{seconds}");
            digests.save().unwrap();
            assert_eq!(digests.path.exists(), is_kept, "{seconds}");
        }
        let (_folder, file, mut digests) = cache(10);
        digests.insert(&ReadFile { digest: DIGEST, state: None });
        assert_eq!(digests.get(&state(&file)), None, "a file that changed while it was read");
    }

    #[test]
    fn entries_are_read_back_unless_damaged() {
        let (_folder, file, mut digests) = cache(10);
        let state = state(&file);
        digests.insert(&ReadFile { digest: DIGEST, state: Some(state) });
        digests.save().unwrap();
        let now = Moment::now();
        assert_eq!(FileDigests::load(digests.path.clone(), now).get(&state), Some(DIGEST));
        let whole = fs::read(&digests.path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(parse(&damaged).is_none(), "byte {at}");
            assert!(parse(&whole[..at]).is_none(), "cut at {at}");
        }
        fs::remove_file(&digests.path).unwrap();
        fs::create_dir(&digests.path).unwrap();
        assert_eq!(FileDigests::load(digests.path, now).get(&state), None, "a folder in its place");
    }

    #[test]
    fn a_run_that_learns_nothing_writes_nothing() {
        let (_folder, file, mut digests) = cache(10);
        digests.insert(&read(&file).unwrap());
        digests.save().unwrap();
        fs::write(&digests.path, [fs::read(&digests.path).unwrap().as_slice(), b""].concat()).unwrap();
        let before = state(&digests.path);
        let mut again = FileDigests::load(digests.path.clone(), Moment::now());
        assert!(again.get(&state(&file)).is_some());
        again.save().unwrap();
        assert_eq!(state(&digests.path), before);
    }

    #[test]
    fn content_and_attributes_count() {
        let (folder, file, _) = cache(0);
        let other = folder.path().join("other");
        fs::write(&other, "content").unwrap();
        assert_eq!(read(&file).unwrap().digest, read(&other).unwrap().digest);
        fs::write(&other, "Content").unwrap();
        assert_ne!(read(&file).unwrap().digest, read(&other).unwrap().digest);
        assert_eq!(read(folder.path()).err().unwrap().kind(), io::ErrorKind::InvalidData);
    }
}
