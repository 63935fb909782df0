//! All jobs. Changes go to disk before memory, so that clients never see a state that a crash could undo.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::batch::Batch;
use crate::id;
use crate::job::{CancelResult, Hold, Job, JobState, JobView};
use crate::limits::Limits;
use crate::lines::Lines;
use crate::records::Format;
use crate::spool::{Incoming, LoadedJob, Spool};
use crate::teacher::TeachResult;

/// The jobs of a data folder.
pub(crate) struct Jobs {
    spool: Spool,
    limits: Limits,
    inner: Mutex<Inner>,
    /// Serializes writes of records. Must not be locked while `inner` is held.
    saving: Mutex<()>,
    /// Notifies the worker of new and cancelled jobs.
    updates: watch::Sender<u64>,
    pub lines: Lines,
}

#[derive(Default)]
struct Inner {
    /// By id, which sorts by age.
    entries: BTreeMap<String, Entry>,
    /// Number of uploads in progress.
    uploads: usize,
    /// The highest job number so far.
    last_number: u64,
    /// Why records cannot be written, if so.
    write_error: Option<String>,
}

struct Entry {
    job: Job,
    hold: Option<Hold>,
    /// The folder is left unchanged.
    is_damaged: bool,
}

/// A reserved place in the queue; released when dropped.
pub(crate) struct Reservation(Arc<Jobs>);

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.inner().uploads -= 1;
    }
}

impl Jobs {
    /// Loads the jobs of a spool.
    pub(crate) fn open(spool: Spool, limits: Limits) -> Result<Self, String> {
        let mut inner = Inner::default();
        for loaded in spool.load().map_err(|error| format!("cannot read DATA_DIR: {error}"))? {
            let (job, is_damaged) = match loaded {
                LoadedJob::Valid(job) => (job, false),
                LoadedJob::Damaged { id, reason } => {
                    log::error!(job = id.as_str(); "{reason}");
                    let job = Job::new(id, Format::JsonL, None, 0);
                    (Job { state: JobState::Failed, reason: Some(reason), ..job }, true)
                }
            };
            inner.last_number = inner.last_number.max(id::number(&job.id).unwrap_or_default());
            if job.state.has_ended() && !is_damaged {
                // A crash may have prevented the removal.
                spool.remove_input(&job.id);
            }
            inner.entries.insert(job.id.clone(), Entry { job, hold: None, is_damaged });
        }
        let jobs = Self {
            spool,
            limits,
            inner: Mutex::new(inner),
            saving: Mutex::new(()),
            updates: watch::Sender::new(0),
            lines: Lines::default(),
        };
        jobs.delete_oldest();
        Ok(jobs)
    }

    /// Reserves a place in the queue; `None` if it is full.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Reservation> {
        let mut inner = self.inner();
        let active = inner.entries.values().filter(|entry| !entry.job.state.has_ended()).count();
        if active + inner.uploads >= self.limits.queued_jobs {
            return None;
        }
        inner.uploads += 1;
        Some(Reservation(self.clone()))
    }

    /// Starts an upload. Blocks.
    pub(crate) fn incoming(&self) -> io::Result<Incoming> {
        self.spool.incoming()
    }

    /// Turns an upload into a job. Blocks until it is durable.
    pub(crate) fn accept(
        &self,
        incoming: &Incoming,
        format: Format,
        source: Option<String>,
        reservation: Reservation,
    ) -> io::Result<JobView> {
        let _saving = self.saving();
        let number = {
            let mut inner = self.inner();
            inner.last_number += 1;
            inner.last_number
        };
        let job = Job::new(id::new(number), format, source, incoming.bytes);
        self.spool.accept(incoming, &job)?;
        let view = job.details(None);
        let mut inner = self.inner();
        inner.entries.insert(job.id.clone(), Entry { job, hold: None, is_damaged: false });
        drop(inner);
        drop(reservation);
        self.notify();
        Ok(view)
    }

    /// A job with its bad lines.
    pub(crate) fn get(&self, id: &str) -> Option<JobView> {
        self.inner().entries.get(id).map(|entry| entry.job.details(entry.hold.as_ref()))
    }

    /// Up to `limit` jobs, newest first, older than the job `before` if there is one, which need not exist any more. Also
    /// returns whether there are more.
    pub(crate) fn list(&self, limit: usize, before: Option<&str>) -> (Vec<JobView>, bool) {
        let inner = self.inner();
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut entries = inner.entries.range::<str, _>((Bound::Unbounded, end)).rev();
        let jobs = entries.by_ref().take(limit);
        let jobs = jobs.map(|(_, entry)| entry.job.summary(entry.hold.as_ref())).collect();
        (jobs, entries.next().is_some())
    }

    /// Whether this is the id of a job, or may be that of one that was deleted.
    pub(crate) fn is_cursor(&self, id: &str) -> bool {
        id::number(id).is_some() || self.inner().entries.contains_key(id)
    }

    /// The state of each job, as clients see it.
    pub(crate) fn states(&self) -> Vec<&'static str> {
        self.inner().entries.values().map(|entry| entry.job.state_name(entry.hold.as_ref())).collect()
    }

    /// Cancels a job that has not ended. Blocks.
    pub(crate) fn cancel(&self, id: &str) -> io::Result<CancelResult> {
        let cancelled = self.end(id, JobState::Cancelled, None)?;
        self.notify();
        let inner = self.inner();
        Ok(match inner.entries.get(id) {
            None => CancelResult::Unknown,
            Some(entry) if cancelled || entry.job.state == JobState::Cancelled => {
                CancelResult::Cancelled(entry.job.details(None))
            }
            Some(entry) => CancelResult::Ended(entry.job.state),
        })
    }

    /// The next job: a running one, or the oldest queued one.
    pub(crate) fn next(&self) -> Option<Job> {
        let inner = self.inner();
        let jobs = || inner.entries.values().map(|entry| &entry.job);
        let running = jobs().find(|job| job.state == JobState::Running);
        running.or_else(|| jobs().find(|job| job.state == JobState::Queued)).cloned()
    }

    /// Marks a job as running.
    pub(crate) fn start(&self, id: &str) {
        // Saved with the first batch; until then, a restart may treat it as queued.
        if let Some(entry) = self.inner().entries.get_mut(id)
            && entry.job.state == JobState::Queued
        {
            entry.job.state = JobState::Running;
            entry.job.started_at.get_or_insert_with(sutra_service::timestamp);
        }
    }

    /// Saves the progress after a batch. Blocks until it is on disk; false if the job has ended in the meantime.
    pub(crate) fn advance(&self, id: &str, batch: &Batch, taught: &TeachResult) -> io::Result<bool> {
        let is_saved = self.change(id, |job| job.progress.advance(batch, taught))?;
        if is_saved {
            self.lines.add(batch, taught);
        }
        Ok(is_saved)
    }

    /// Ends a job and removes its upload. Blocks; false if it had already ended.
    pub(crate) fn end(&self, id: &str, state: JobState, reason: Option<String>) -> io::Result<bool> {
        let ended = self.change(id, |job| {
            job.state = state;
            job.reason = reason;
            job.ended_at = Some(sutra_service::timestamp());
        })?;
        if ended {
            self.spool.remove_input(id);
            self.delete_oldest();
        }
        Ok(ended)
    }

    /// Sets or clears the hold of a job; true if it had one before.
    pub(crate) fn set_hold(&self, id: &str, hold: Option<Hold>) -> bool {
        let mut inner = self.inner();
        inner.entries.get_mut(id).is_some_and(|entry| std::mem::replace(&mut entry.hold, hold).is_some())
    }

    /// Whether a job has ended or does not exist.
    pub(crate) fn has_ended(&self, id: &str) -> bool {
        self.inner().entries.get(id).is_none_or(|entry| entry.job.state.has_ended())
    }

    /// Why records cannot be written, if so.
    pub(crate) fn write_error(&self) -> Option<String> {
        self.inner().write_error.clone()
    }

    /// Changes when a job is added or cancelled.
    pub(crate) fn updates(&self) -> watch::Receiver<u64> {
        self.updates.subscribe()
    }

    /// Opens the upload of a job.
    pub(crate) fn input(&self, job: &Job) -> io::Result<std::fs::File> {
        self.spool.input(job)
    }

    /// Changes a job that has not ended: first on disk, then in memory.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) -> io::Result<bool> {
        let _saving = self.saving();
        let job = self.inner().entries.get(id).map(|entry| entry.job.clone());
        let Some(mut job) = job.filter(|job| !job.state.has_ended()) else { return Ok(false) };
        change(&mut job);
        let saved = self.spool.save(&job);
        let mut inner = self.inner();
        inner.write_error = saved.as_ref().err().map(|error| {
            format!("cannot write job progress to DATA_DIR: {error}; free disk space or repair the volume")
        });
        saved?;
        if let Some(entry) = inner.entries.get_mut(id) {
            entry.job = job;
        }
        Ok(true)
    }

    /// Deletes the oldest ended jobs above the limit.
    fn delete_oldest(&self) {
        let _saving = self.saving();
        let mut inner = self.inner();
        let ended = inner.entries.values().filter(|entry| entry.job.state.has_ended() && !entry.is_damaged);
        let mut ids: Vec<String> = ended.map(|entry| entry.job.id.clone()).collect();
        ids.truncate(ids.len().saturating_sub(self.limits.ended_jobs));
        for id in &ids {
            inner.entries.remove(id);
        }
        drop(inner);
        for id in &ids {
            self.spool.remove(id);
        }
    }

    fn notify(&self) {
        self.updates.send_modify(|count| *count += 1);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saving(&self) -> MutexGuard<'_, ()> {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(folder: &std::path::Path) -> Arc<Jobs> {
        let limits = Limits { queued_jobs: 2, ended_jobs: 2, ..Limits::of("simple") };
        Arc::new(Jobs::open(Spool::open(folder).expect("spool"), limits).expect("jobs"))
    }

    fn add(jobs: &Arc<Jobs>) -> String {
        let reservation = jobs.reserve().expect("a free place");
        let mut incoming = jobs.incoming().expect("a free place");
        incoming.write(b"\"a\"\n").expect("write");
        let view = jobs.accept(&incoming, Format::JsonL, None, reservation).expect("accept");
        view["id"].as_str().expect("an id").to_owned()
    }

    #[test]
    fn uploads_in_progress_count_towards_the_queue() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let first = add(&jobs);
        let upload = jobs.reserve().expect("a free place");
        assert!(jobs.reserve().is_none());
        drop(upload);
        add(&jobs);
        assert!(jobs.reserve().is_none());
        assert!(jobs.end(&first, JobState::Done, None).expect("end"));
        assert!(jobs.reserve().is_some());
    }

    #[test]
    fn jobs_run_in_order_of_arrival_but_a_running_one_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let (first, second) = (add(&jobs), add(&jobs));
        assert!(first < second);
        assert_eq!(jobs.next().map(|job| job.id), Some(first.clone()));
        jobs.start(&second);
        assert_eq!(jobs.next().map(|job| job.id), Some(second.clone()));
        let list = |limit, before| {
            let (jobs, has_more) = jobs.list(limit, before);
            (jobs.iter().map(|view| view["id"].clone()).collect::<Vec<_>>(), has_more)
        };
        assert_eq!(list(9, None), (vec![second.clone().into(), first.clone().into()], false));
        assert_eq!(list(1, None), (vec![second.clone().into()], true));
        assert_eq!(list(1, Some(&second)), (vec![first.into()], false));
    }

    #[test]
    fn progress_survives_a_restart_and_ids_are_not_reused() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let first = add(&jobs);
        jobs.start(&first);
        let mut batch = Batch::default();
        batch.end.bytes = 2;
        batch.bad.add(4, "bad");
        let mut taught = TeachResult { count: 3, ..TeachResult::default() };
        taught.bad.add(2, "rejected");
        assert!(jobs.advance(&first, &batch, &taught).expect("advance"));
        let before = jobs.get(&first).expect("the job");
        drop(jobs);

        let jobs = open(folder.path());
        assert_eq!(jobs.get(&first).expect("the job"), before);
        let lines: Vec<_> =
            before["bad_lines"].as_array().expect("a list").iter().map(|bad| bad["line"].clone()).collect();
        assert_eq!(
            (lines, &before["taught"], &before["bad"]),
            (vec![2.into(), 4.into()], &3.into(), &2.into())
        );
        assert!(add(&jobs) > first);
    }

    #[test]
    fn a_cancelled_job_stays_cancelled_and_loses_its_upload() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let id = add(&jobs);
        jobs.start(&id);
        let input = folder.path().join("jobs").join(&id).join("input");
        assert!(input.exists());
        for _ in 0..2 {
            assert!(
                matches!(jobs.cancel(&id).expect("cancel"), CancelResult::Cancelled(view) if view["state"] == "cancelled")
            );
        }
        assert!(!input.exists());
        assert!(!jobs.advance(&id, &Batch::default(), &TeachResult::default()).expect("advance"));
        assert!(!jobs.end(&id, JobState::Done, None).expect("end"));
        assert!(matches!(jobs.cancel("no").expect("cancel"), CancelResult::Unknown));
        let done = add(&jobs);
        jobs.end(&done, JobState::Done, None).expect("end");
        assert!(matches!(jobs.cancel(&done).expect("cancel"), CancelResult::Ended(JobState::Done)));
    }

    #[test]
    fn the_oldest_ended_jobs_are_deleted() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let ids: Vec<String> = (0..4)
            .map(|_| {
                let id = add(&jobs);
                jobs.end(&id, JobState::Done, None).expect("end");
                id
            })
            .collect();
        let exists: Vec<bool> = ids.iter().map(|id| jobs.get(id).is_some()).collect();
        assert_eq!(exists, [false, false, true, true]);
        assert_eq!(std::fs::read_dir(folder.path().join("jobs")).expect("list").count(), 2);
    }
}
