//! All jobs: in memory what is shown, on disk what must not get lost. Disk first, so that nothing is shown that a
//! crash could take back.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::batch::Batch;
use crate::job::{Hold, Job, State};
use crate::limits::Limits;
use crate::random;
use crate::records::Format;
use crate::spool::{Found, Incoming, Spool};
use crate::teacher::Taught;

/// A job as clients see it.
pub(crate) type View = Map<String, Value>;

/// Every job there is.
pub(crate) struct Jobs {
    spool: Spool,
    limits: Limits,
    inner: Mutex<Inner>,
    /// Held while a record is written, so that changes of one job do not cross. Never taken while `inner` is held.
    saving: Mutex<()>,
    /// Counts what the worker may have to know: a new job, a cancelled one.
    news: watch::Sender<u64>,
}

#[derive(Default)]
struct Inner {
    /// By id, and so by age.
    entries: BTreeMap<String, Entry>,
    /// Uploads under way.
    uploads: usize,
    /// Of all ids so far, the greatest number.
    last: u64,
    /// Why records cannot be written, if that is so.
    trouble: Option<String>,
}

struct Entry {
    job: Job,
    hold: Option<Hold>,
    /// Its folder stays as it is.
    is_damaged: bool,
}

/// What came of the wish to cancel a job.
#[derive(Debug)]
pub(crate) enum Cancelled {
    /// It is, now or since long.
    Yes(View),
    /// It had ended otherwise.
    TooLate(State),
    /// There is no such job.
    Unknown,
}

/// A place among the jobs that have not ended; given back when dropped.
pub(crate) struct Reservation(Arc<Jobs>);

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.inner().uploads -= 1;
    }
}

impl Jobs {
    /// The jobs of a spool.
    pub(crate) fn open(spool: Spool, limits: Limits) -> Result<Self, String> {
        let mut inner = Inner::default();
        for found in spool.load().map_err(|error| format!("DATA_DIR cannot be read: {error}"))? {
            let (job, is_damaged) = match found {
                Found::Job(job) => (job, false),
                Found::Damaged { id, reason } => {
                    log::error!(job = id.as_str(); "{reason}");
                    let job = Job::new(id, Format::JsonL, 0);
                    (Job { state: State::Failed, reason: Some(reason), ..job }, true)
                }
            };
            let number = job.id.split('-').next().and_then(|number| number.parse().ok());
            inner.last = inner.last.max(number.unwrap_or_default());
            if job.state.has_ended() && !is_damaged {
                // A crash may have come between the end and the removal.
                spool.remove_input(&job.id);
            }
            inner.entries.insert(job.id.clone(), Entry { job, hold: None, is_damaged });
        }
        let jobs = Self {
            spool,
            limits,
            inner: Mutex::new(inner),
            saving: Mutex::new(()),
            news: watch::Sender::new(0),
        };
        jobs.forget_oldest();
        Ok(jobs)
    }

    /// A place for one more job; none if there are too many that have not ended.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Reservation> {
        let mut inner = self.inner();
        let active = inner.entries.values().filter(|entry| !entry.job.state.has_ended()).count();
        if active + inner.uploads >= self.limits.queued_jobs {
            return None;
        }
        inner.uploads += 1;
        Some(Reservation(self.clone()))
    }

    /// A place for an upload. Blocks.
    pub(crate) fn incoming(&self) -> io::Result<Incoming> {
        self.spool.incoming()
    }

    /// Makes an upload a job. Blocks until it is durable.
    pub(crate) fn accept(
        &self,
        incoming: &Incoming,
        format: Format,
        reservation: Reservation,
    ) -> io::Result<View> {
        let _saving = self.saving();
        let number = {
            let mut inner = self.inner();
            inner.last += 1;
            inner.last
        };
        // The number gives the order. The rest keeps a name from being given again after all jobs were removed.
        let id = format!("{number:010}-{:08x}", random::bits() >> 32);
        let job = Job::new(id, format, incoming.bytes);
        self.spool.accept(incoming, &job)?;
        let view = job.details(None);
        let mut inner = self.inner();
        inner.entries.insert(job.id.clone(), Entry { job, hold: None, is_damaged: false });
        drop(inner);
        drop(reservation);
        self.tell();
        Ok(view)
    }

    /// One job with its bad lines.
    pub(crate) fn get(&self, id: &str) -> Option<View> {
        self.inner().entries.get(id).map(|entry| entry.job.details(entry.hold.as_ref()))
    }

    /// The newest jobs, newest first.
    pub(crate) fn list(&self, limit: usize) -> Vec<View> {
        let inner = self.inner();
        inner.entries.values().rev().take(limit).map(|entry| entry.job.summary(entry.hold.as_ref())).collect()
    }

    /// Gives up a job that has not ended. Blocks.
    pub(crate) fn cancel(&self, id: &str) -> io::Result<Cancelled> {
        let cancelled = self.end(id, State::Cancelled, None)?;
        self.tell();
        let inner = self.inner();
        Ok(match inner.entries.get(id) {
            None => Cancelled::Unknown,
            Some(entry) if cancelled || entry.job.state == State::Cancelled => {
                Cancelled::Yes(entry.job.details(None))
            }
            Some(entry) => Cancelled::TooLate(entry.job.state),
        })
    }

    /// The job whose turn it is: one that had begun, or the oldest.
    pub(crate) fn next(&self) -> Option<Job> {
        let inner = self.inner();
        let jobs = || inner.entries.values().map(|entry| &entry.job);
        let running = jobs().find(|job| job.state == State::Running);
        running.or_else(|| jobs().find(|job| job.state == State::Queued)).cloned()
    }

    /// A job begins, or goes on after a restart.
    pub(crate) fn start(&self, id: &str) {
        // On disk with its first batch: until then, it is as good as queued.
        if let Some(entry) = self.inner().entries.get_mut(id)
            && entry.job.state == State::Queued
        {
            entry.job.state = State::Running;
            entry.job.started_at.get_or_insert_with(sutra_service::timestamp);
        }
    }

    /// Notes that a batch is behind. Blocks until that is on disk; false if the job has ended in between.
    pub(crate) fn advance(&self, id: &str, batch: &Batch, taught: &Taught) -> io::Result<bool> {
        self.change(id, |job| {
            job.progress.position = batch.end;
            job.progress.taught += taught.count;
            let mut bad = batch.bad.clone();
            bad.count += taught.bad.count;
            bad.listed.extend(taught.bad.listed.iter().cloned());
            job.progress.bad.extend(bad);
        })
    }

    /// Ends a job and removes its upload. Blocks; false if it had ended before.
    pub(crate) fn end(&self, id: &str, state: State, reason: Option<String>) -> io::Result<bool> {
        let ended = self.change(id, |job| {
            job.state = state;
            job.reason = reason;
            job.ended_at = Some(sutra_service::timestamp());
        })?;
        if ended {
            self.spool.remove_input(id);
            self.forget_oldest();
        }
        Ok(ended)
    }

    /// Notes what keeps a job from going on; tells whether something did before.
    pub(crate) fn hold(&self, id: &str, hold: Option<Hold>) -> bool {
        let mut inner = self.inner();
        inner.entries.get_mut(id).is_some_and(|entry| std::mem::replace(&mut entry.hold, hold).is_some())
    }

    /// Whether a job has ended, or was never there.
    pub(crate) fn has_ended(&self, id: &str) -> bool {
        self.inner().entries.get(id).is_none_or(|entry| entry.job.state.has_ended())
    }

    /// Why records cannot be written, if that is so.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.inner().trouble.clone()
    }

    /// Hears of new jobs and of cancelled ones.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// The upload of a job, to be read.
    pub(crate) fn input(&self, job: &Job) -> io::Result<std::fs::File> {
        self.spool.input(job)
    }

    /// Changes a job that has not ended, on disk and then in memory.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) -> io::Result<bool> {
        let _saving = self.saving();
        let job = self.inner().entries.get(id).map(|entry| entry.job.clone());
        let Some(mut job) = job.filter(|job| !job.state.has_ended()) else { return Ok(false) };
        change(&mut job);
        let saved = self.spool.save(&job);
        let mut inner = self.inner();
        inner.trouble = saved.as_ref().err().map(|error| {
            format!(
                "the progress of jobs cannot be written to DATA_DIR: {error}; make room there or repair it"
            )
        });
        saved?;
        if let Some(entry) = inner.entries.get_mut(id) {
            entry.job = job;
        }
        Ok(true)
    }

    /// Removes the oldest of the jobs that have ended, as far as there are too many.
    fn forget_oldest(&self) {
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

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
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
        let reservation = jobs.reserve().expect("a place");
        let mut incoming = jobs.incoming().expect("a place");
        incoming.write(b"\"a\"\n").expect("write");
        let view = jobs.accept(&incoming, Format::JsonL, reservation).expect("accept");
        view["id"].as_str().expect("an id").to_owned()
    }

    #[test]
    fn places_are_counted_with_uploads_under_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let first = add(&jobs);
        let upload = jobs.reserve().expect("a place");
        assert!(jobs.reserve().is_none());
        drop(upload);
        add(&jobs);
        assert!(jobs.reserve().is_none());
        assert!(jobs.end(&first, State::Done, None).expect("end"));
        assert!(jobs.reserve().is_some());
    }

    #[test]
    fn jobs_come_in_order_and_a_running_one_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let (first, second) = (add(&jobs), add(&jobs));
        assert!(first < second);
        assert_eq!(jobs.next().map(|job| job.id), Some(first.clone()));
        jobs.start(&second);
        assert_eq!(jobs.next().map(|job| job.id), Some(second.clone()));
        let listed: Vec<_> = jobs.list(9).iter().map(|view| view["id"].clone()).collect();
        assert_eq!(listed, [second, first]);
        assert_eq!(jobs.list(1).len(), 1);
    }

    #[test]
    fn progress_is_there_after_a_restart_and_names_are_never_given_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let first = add(&jobs);
        jobs.start(&first);
        let mut batch = Batch::default();
        batch.end.bytes = 2;
        batch.bad.add(4, "bad");
        let mut taught = Taught { count: 3, ..Taught::default() };
        taught.bad.add(2, "refused");
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
    fn a_cancelled_job_stays_so_and_lets_go_of_its_upload() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let id = add(&jobs);
        jobs.start(&id);
        let input = folder.path().join("jobs").join(&id).join("input");
        assert!(input.exists());
        for _ in 0..2 {
            assert!(
                matches!(jobs.cancel(&id).expect("cancel"), Cancelled::Yes(view) if view["state"] == "cancelled")
            );
        }
        assert!(!input.exists());
        assert!(!jobs.advance(&id, &Batch::default(), &Taught::default()).expect("advance"));
        assert!(!jobs.end(&id, State::Done, None).expect("end"));
        assert!(matches!(jobs.cancel("no").expect("cancel"), Cancelled::Unknown));
        let done = add(&jobs);
        jobs.end(&done, State::Done, None).expect("end");
        assert!(matches!(jobs.cancel(&done).expect("cancel"), Cancelled::TooLate(State::Done)));
    }

    #[test]
    fn the_oldest_of_those_that_ended_are_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let jobs = open(folder.path());
        let ids: Vec<String> = (0..4)
            .map(|_| {
                let id = add(&jobs);
                jobs.end(&id, State::Done, None).expect("end");
                id
            })
            .collect();
        let known: Vec<bool> = ids.iter().map(|id| jobs.get(id).is_some()).collect();
        assert_eq!(known, [false, false, true, true]);
        assert_eq!(std::fs::read_dir(folder.path().join("jobs")).expect("list").count(), 2);
    }
}
