//! The data folder: `incoming/` has the uploads in progress, `jobs/ID/` a job with its upload. A job is created atomically
//! by a rename, after a sync.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::job::Job;
use crate::random;

/// Format version of `job.json`.
const FORM: u32 = 1;

/// Name of the upload in a job's folder.
const INPUT: &str = "input";

/// Name of the record in a job's folder.
const RECORD: &str = "job.json";

/// Bytes written between two syncs. Keeps the last sync, which a client waits for, short.
const SYNC_EVERY: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Record<J> {
    form: u32,
    #[serde(flatten)]
    job: J,
}

/// The data folder, locked by this process.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// The lock is held while the file is open.
    _lock: File,
}

/// A loaded folder of `jobs/`.
#[derive(Debug)]
pub(crate) enum LoadedJob {
    /// A job.
    Valid(Job),
    /// A damaged job. The reason has the file and the remedy.
    Damaged { id: String, reason: String },
}

impl Spool {
    /// Opens or creates the folder and removes incomplete uploads. The error has the remedy.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let shown = folder.display();
        let unwritable = |error: io::Error| {
            format!("cannot write to DATA_DIR {shown}: {error}; mount a volume that uid 65532 can write to")
        };
        fs::create_dir_all(folder.join("jobs")).map_err(unwritable)?;
        let lock = File::create(folder.join("lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(format!(
                    "DATA_DIR {shown} is in use by another process; stop that process or choose another folder"
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

    /// Loads all jobs. Finishes interrupted removals.
    pub(crate) fn load(&self) -> io::Result<Vec<LoadedJob>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(self.folder.join("jobs"))? {
            let path = entry?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()) else { continue };
            // The record is removed last, so an empty folder is an interrupted removal. A folder with other files stays.
            if !path.join(RECORD).exists() && fs::remove_dir(&path).is_ok() {
                continue;
            }
            jobs.push(match read_record(&path) {
                Ok(job) if job.id == id => LoadedJob::Valid(job),
                Ok(_) => damaged(id, &path, &"it has the id of another job"),
                Err(error) => damaged(id, &path, &error),
            });
        }
        Ok(jobs)
    }

    /// Starts an upload.
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

    /// Creates a job from an upload. On success the job is durable; on error nothing is created.
    pub(crate) fn accept(&self, incoming: &Incoming, job: &Job) -> io::Result<()> {
        incoming.sync()?;
        write_record(&incoming.folder, job)?;
        sync_folder(&incoming.folder)?;
        let place = self.place(&job.id);
        fs::rename(&incoming.folder, &place)?;
        sync_folder(&self.folder.join("jobs")).inspect_err(|_| remove(&place))
    }

    /// Replaces a job's record.
    pub(crate) fn save(&self, job: &Job) -> io::Result<()> {
        let place = self.place(&job.id);
        write_record(&place, job)?;
        // Without a sync of the folder, a power failure may restore the previous record, and a batch is taught again. The
        // end of a job must be synced, because its upload is removed afterwards.
        if job.state.has_ended() { sync_folder(&place) } else { Ok(()) }
    }

    /// Opens a job's upload. Fails if its size has changed.
    pub(crate) fn input(&self, job: &Job) -> io::Result<File> {
        let file = File::open(self.place(&job.id).join(INPUT))?;
        let bytes = file.metadata()?.len();
        if bytes != job.bytes {
            let expected = job.bytes;
            return Err(io::Error::other(format!("{bytes} bytes found, {expected} expected")));
        }
        Ok(file)
    }

    /// Removes the upload of an ended job.
    pub(crate) fn remove_input(&self, id: &str) {
        match fs::remove_file(self.place(id).join(INPUT)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!(job = id; "cannot remove the upload of an ended job: {error}");
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

/// An upload in progress; removed when dropped unless it became a job.
#[derive(Debug)]
pub(crate) struct Incoming {
    folder: PathBuf,
    file: File,
    /// Number of bytes written.
    pub bytes: u64,
    unsynced: u64,
}

impl Incoming {
    /// Appends bytes.
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

    /// Syncs the upload to disk. Blocks.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Opens the upload for reading.
    pub(crate) fn reader(&self) -> io::Result<File> {
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

/// Removes the record last, because a folder with a record is a job.
fn remove(place: &Path) {
    let remove_file = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let removed = remove_file(&place.join(INPUT))
        .and_then(|()| remove_file(&place.join(RECORD)))
        .and_then(|()| fs::remove_dir_all(place));
    if let Err(error) = removed {
        log::warn!("cannot remove {}: {error}", place.display());
    }
}

fn read_record(place: &Path) -> io::Result<Job> {
    let record: Record<Job> = serde_json::from_slice(&fs::read(place.join(RECORD))?)?;
    if record.form != FORM {
        return Err(io::Error::other(format!(
            "unsupported format: {} (this version reads {FORM})",
            record.form
        )));
    }
    Ok(record.job)
}

fn write_record(place: &Path, job: &Job) -> io::Result<()> {
    let (new, path) = (place.join("job.json.new"), place.join(RECORD));
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&Record { form: FORM, job })?)?;
    // Synced before the rename, or a power failure may leave an empty record.
    file.sync_all()?;
    fs::rename(new, path)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn damaged(id: &str, place: &Path, error: &dyn std::fmt::Display) -> LoadedJob {
    let record = place.join(RECORD);
    let reason = format!(
        "cannot read {}: {error}; restore it from a backup, or upload the file again and remove the folder",
        record.display()
    );
    LoadedJob::Damaged { id: id.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobState;
    use crate::records::Format;

    fn accept(spool: &Spool, id: &str, bytes: &[u8]) -> Job {
        let mut incoming = spool.incoming().expect("an upload");
        incoming.write(bytes).expect("write");
        let job = Job::new(id.into(), Format::JsonL, None, bytes.len() as u64);
        spool.accept(&incoming, &job).expect("accept");
        job
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("list");
        entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn jobs_survive_a_restart_and_incomplete_uploads_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        let mut job = accept(&spool, "1", b"abc");
        job.state = JobState::Running;
        job.progress.taught = 7;
        spool.save(&job).expect("save");
        let mut unfinished = spool.incoming().expect("an upload");
        unfinished.write(b"half").expect("write");
        // Leaves the file behind, like a SIGKILL.
        std::mem::forget(unfinished);
        drop(spool);

        let spool = Spool::open(folder.path()).expect("open");
        let loaded = spool.load().expect("load");
        assert!(matches!(&loaded[..], [LoadedJob::Valid(loaded)] if *loaded == job), "{loaded:?}");
        assert_eq!(names(&folder.path().join("incoming")), [""; 0]);
        assert_eq!(io::read_to_string(spool.input(&job).expect("input")).expect("read"), "abc");
        spool.remove("1");
        assert!(spool.load().expect("load").is_empty());
        drop(spool.incoming().expect("an upload"));
        assert_eq!(names(&folder.path().join("incoming")), [""; 0]);
    }

    #[test]
    fn damaged_jobs_are_reported_and_left_unchanged() {
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
        // An interrupted removal is not damage.
        fs::create_dir(place("half-removed")).expect("make");

        let mut found: Vec<String> = Vec::new();
        for item in spool.load().expect("load") {
            let LoadedJob::Damaged { id, reason } = item else { panic!("{item:?}") };
            assert!(reason.contains(RECORD) && reason.contains("backup"), "{reason}");
            found.push(id);
        }
        found.sort();
        assert_eq!(found, ["cut", "form", "gone", "other"]);
        assert!(place("gone").join(INPUT).exists() && !place("half-removed").exists());
    }

    #[test]
    fn an_upload_with_missing_bytes_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        let job = accept(&spool, "1", b"abc");
        fs::write(folder.path().join("jobs/1/input"), "ab").expect("write");
        assert!(spool.input(&job).is_err_and(|error| error.to_string().contains("2 bytes")));
    }

    #[test]
    fn a_folder_is_locked() {
        let folder = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(folder.path()).expect("open");
        assert!(Spool::open(folder.path()).is_err_and(|reason| reason.contains("in use by another process")));
        drop(spool);
        Spool::open(folder.path()).expect("open again");
    }
}
