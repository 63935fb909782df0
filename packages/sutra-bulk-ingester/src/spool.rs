//! The folder on disk: `incoming/` holds uploads under way, `jobs/ID/` a job with its upload. A job appears there by one
//! rename, whole and synced, or not at all.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::random;

/// The form of `job.json`; another one is not read.
const FORM: u32 = 1;

/// An upload within a job's folder.
const INPUT: &str = "input";

/// A job's record within its folder.
const RECORD: &str = "job.json";

/// How much may be written between two syncs: so the last one, which a client waits for, is short.
const SYNC_EVERY: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Record<J> {
    form: u32,
    #[serde(flatten)]
    job: J,
}

/// The folder, in use by this process alone.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

/// A folder in `jobs/` as it was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A job.
    Job(Job),
    /// Something that is no job (any more); the reason names the file and what to do.
    Damaged { id: String, reason: String },
}

impl Spool {
    /// Opens the folder or makes it; uploads that were under way are removed. The error says what to do.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        let unwritable = |error: io::Error| {
            format!(
                "DATA_DIR {shown} cannot be written: {error}; mount a volume there that uid 65532 may write"
            )
        };
        fs::create_dir_all(folder.join("jobs")).map_err(unwritable)?;
        let lock = File::create(folder.join("lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "DATA_DIR {shown} is in use by another process; stop that one or choose another folder"
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let incoming = folder.join("incoming");
        match fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
            _ => {}
        }
        fs::create_dir(&incoming).map_err(unwritable)?;
        sync_folder(folder).map_err(unwritable)?;
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// All jobs. What a removal left half done is removed.
    pub(crate) fn load(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder.join("jobs"))? {
            let path = entry?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
            // A record is removed last, so a folder without one held none. A folder that is not empty stays.
            if !path.join(RECORD).exists() && fs::remove_dir(&path).is_ok() {
                continue;
            }
            found.push(match read_record(&path) {
                Ok(job) if job.id == id => Found::Job(job),
                Ok(_) => damaged(id, &path, &"it belongs to another job"),
                Err(error) => damaged(id, &path, &error),
            });
        }
        Ok(found)
    }

    /// A place for an upload.
    pub(crate) fn incoming(&self) -> io::Result<Incoming> {
        let folder = self.folder.join("incoming").join(format!("{:016x}", random::bits()));
        fs::create_dir(&folder)?;
        match File::create_new(folder.join(INPUT)) {
            Ok(file) => Ok(Incoming { folder, file, bytes: 0, unsynced: 0 }),
            Err(error) => {
                let _ = fs::remove_dir(&folder);
                Err(error)
            }
        }
    }

    /// Makes an upload a job. When this is done it is on disk for good; if it fails there is no job.
    pub(crate) fn accept(&self, incoming: &Incoming, job: &Job) -> io::Result<()> {
        incoming.sync()?;
        write_record(&incoming.folder, job)?;
        sync_folder(&incoming.folder)?;
        let place = self.place(&job.id);
        fs::rename(&incoming.folder, &place)?;
        sync_folder(&self.folder.join("jobs")).inspect_err(|_| remove(&place))
    }

    /// Keeps a job's record in place of the one before.
    pub(crate) fn save(&self, job: &Job) -> io::Result<()> {
        let place = self.place(&job.id);
        write_record(&place, job)?;
        // Until the folder is synced, a power cut may bring back the record before: then a batch is taught again. But
        // the upload of a job that has ended is removed.
        if job.state.has_ended() { sync_folder(&place) } else { Ok(()) }
    }

    /// A job's upload, to be read. Its size must be the one it was accepted with.
    pub(crate) fn input(&self, job: &Job) -> io::Result<File> {
        let file = File::open(self.place(&job.id).join(INPUT))?;
        let bytes = file.metadata()?.len();
        if bytes != job.bytes {
            let expected = job.bytes;
            return Err(io::Error::other(format!("it has {bytes} bytes and was accepted with {expected}")));
        }
        Ok(file)
    }

    /// Removes the upload of a job that needs it no more.
    pub(crate) fn remove_input(&self, id: &str) {
        match fs::remove_file(self.place(id).join(INPUT)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!(job = id; "the upload of a job that has ended cannot be removed: {error}");
            }
            _ => {}
        }
    }

    /// Removes a job.
    pub(crate) fn remove(&self, id: &str) {
        remove(&self.place(id));
    }

    fn place(&self, id: &str) -> PathBuf {
        self.folder.join("jobs").join(id)
    }
}

/// An upload under way; removed when dropped, unless it became a job.
#[derive(Debug)]
pub(crate) struct Incoming {
    folder: PathBuf,
    file: File,
    /// What was written.
    pub bytes: u64,
    unsynced: u64,
}

impl Incoming {
    /// Adds to it.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Waits until what was written is on disk. Blocks.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// What was written, to be read.
    pub(crate) fn reread(&self) -> io::Result<File> {
        File::open(self.folder.join(INPUT))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.folder.exists() {
            remove(&self.folder);
        }
    }
}

/// The record goes last: as long as it is there, the folder is a job.
fn remove(place: &Path) {
    let gone = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let removed = gone(&place.join(INPUT))
        .and_then(|()| gone(&place.join(RECORD)))
        .and_then(|()| fs::remove_dir_all(place));
    if let Err(error) = removed {
        log::warn!("{} cannot be removed: {error}", place.display());
    }
}

fn read_record(place: &Path) -> io::Result<Job> {
    let record: Record<Job> = serde_json::from_slice(&fs::read(place.join(RECORD))?)?;
    if record.form != FORM {
        return Err(io::Error::other(format!("it has form {} and this version reads {FORM}", record.form)));
    }
    Ok(record.job)
}

fn write_record(place: &Path, job: &Job) -> io::Result<()> {
    let (new, path) = (place.join("job.json.new"), place.join(RECORD));
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&Record { form: FORM, job })?)?;
    // Before the rename, or a power cut may leave an empty record under the right name.
    file.sync_all()?;
    fs::rename(new, path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn damaged(id: &str, place: &Path, error: &dyn std::fmt::Display) -> Found {
    let record = place.join(RECORD);
    let reason = format!(
        "{} cannot be used: {error}; restore it from a backup, or upload the file again and remove the folder",
        record.display()
    );
    Found::Damaged { id: id.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::State;
    use crate::records::Format;

    fn accept(spool: &Spool, id: &str, bytes: &[u8]) -> Job {
        let mut incoming = spool.incoming().expect("a place");
        incoming.write(bytes).expect("write");
        let job = Job::new(id.into(), Format::JsonL, bytes.len() as u64);
        spool.accept(&incoming, &job).expect("accept");
        job
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("list");
        entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_job_is_found_again_and_an_unfinished_upload_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        let mut job = accept(&spool, "1", b"abc");
        job.state = State::Running;
        job.progress.taught = 7;
        spool.save(&job).expect("save");
        let mut unfinished = spool.incoming().expect("a place");
        unfinished.write(b"half").expect("write");
        // As a SIGKILL would leave it.
        std::mem::forget(unfinished);
        drop(spool);

        let spool = Spool::open(folder.path()).expect("open");
        let found = spool.load().expect("load");
        assert!(matches!(&found[..], [Found::Job(found)] if *found == job), "{found:?}");
        assert_eq!(names(&folder.path().join("incoming")), [""; 0]);
        assert_eq!(io::read_to_string(spool.input(&job).expect("input")).expect("read"), "abc");
        spool.remove("1");
        assert!(spool.load().expect("load").is_empty());
        drop(spool.incoming().expect("a place"));
        assert_eq!(names(&folder.path().join("incoming")), [""; 0]);
    }

    #[test]
    fn damage_is_named_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        let place = |id: &str| folder.path().join("jobs").join(id);
        for id in ["cut", "other", "form", "gone"] {
            accept(&spool, id, b"abc");
        }
        let record = |id: &str| fs::read_to_string(place(id).join(RECORD)).expect("read");
        let write = |id: &str, text: &str| fs::write(place(id).join(RECORD), text).expect("write");
        write("cut", &record("cut")[..20]);
        write("other", &record("other").replace("\"other\"", "\"cut\""));
        write("form", &record("form").replace("\"form\":1", "\"form\":2"));
        fs::remove_file(place("gone").join(RECORD)).expect("remove");
        // What a removal left half done is no damage.
        fs::create_dir(place("half-removed")).expect("make");

        let mut found: Vec<String> = Vec::new();
        for item in spool.load().expect("load") {
            let Found::Damaged { id, reason } = item else { panic!("{item:?}") };
            assert!(reason.contains(RECORD) && reason.contains("backup"), "{reason}");
            found.push(id);
        }
        found.sort();
        assert_eq!(found, ["cut", "form", "gone", "other"]);
        assert!(place("gone").join(INPUT).exists() && !place("half-removed").exists());
    }

    #[test]
    fn an_upload_that_lost_bytes_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        let job = accept(&spool, "1", b"abc");
        fs::write(folder.path().join("jobs/1/input"), "ab").expect("write");
        assert!(spool.input(&job).is_err_and(|error| error.to_string().contains("2 bytes")));
    }

    #[test]
    fn a_folder_is_used_by_one_at_a_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        assert!(Spool::open(folder.path()).is_err_and(|reason| reason.contains("in use by another process")));
        drop(spool);
        Spool::open(folder.path()).expect("free again");
    }
}
