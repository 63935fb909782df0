//! The thread that teaches: one job at a time, in order of arrival, since hybrid is what takes the time.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::batch::{Batch, Batches};
use crate::hybrid::Hybrid;
use crate::job::{Hold, Job, State};
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::records::Records;
use crate::service::Door;
use crate::teacher::{Taught, Teacher};

/// Between tries to open a data folder that cannot be used.
const REOPEN: Duration = Duration::from_secs(2);

/// The thread. Dropping it gives up the batch under way, which is taught again after the next start, and waits for the
/// end of the thread.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread; it opens the door if nobody could before.
    pub(crate) fn start(
        door: Arc<Door>,
        hybrid: Hybrid,
        backoff: Backoff,
        limits: Limits,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        // Its own runtime: it must be able to end its work while the one that serves requests is shut down.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let mut end = stopped.clone();
                let looking = hybrid.clone().keep_looking();
                let hands = Hands { hybrid, backoff, limits, stopped };
                tokio::select! {
                    _ = end.wait_for(|stop| *stop) => {}
                    () = hands.work(&door) => {}
                    () = looking => {}
                }
            });
            // Name servers may be slow to answer, and a thread that asks one cannot be told to stop.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Whether the thread came to an end that nobody asked for.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is in the log already.
            let _ = thread.join();
        }
    }
}

struct Hands {
    hybrid: Hybrid,
    backoff: Backoff,
    limits: Limits,
    stopped: watch::Receiver<bool>,
}

impl Hands {
    /// Works until it is dropped.
    async fn work(&self, door: &Door) {
        let jobs = loop {
            match door.open() {
                Ok(jobs) => break jobs,
                Err(_) => tokio::time::sleep(REOPEN).await,
            }
        };
        let mut news = jobs.news();
        loop {
            // Before the look at the jobs, so that none is missed that comes in between.
            news.mark_unchanged();
            let Some(job) = jobs.next() else {
                // The sender lives as long as the jobs.
                let _ = news.changed().await;
                continue;
            };
            tokio::select! {
                biased;
                () = self.teach(&jobs, &job) => {}
                () = ended(&jobs, &job.id, news.clone()) => log::info!(job = job.id.as_str(); "job cancelled"),
            }
        }
    }

    /// Teaches a job to its end.
    async fn teach(&self, jobs: &Jobs, job: &Job) {
        let id = job.id.as_str();
        log::info!(job = id, bytes = job.bytes, from = job.progress.position.bytes; "job begins");
        jobs.start(id);
        let (state, reason) = match self.batches(jobs, job) {
            Ok(batches) => self.teach_all(jobs, id, batches).await,
            Err(reason) => Err(reason),
        }
        .map_or_else(|reason| (State::Failed, Some(reason)), |()| (State::Done, None));
        if *self.stopped.borrow() {
            return;
        }
        self.until_saved(jobs, id, || jobs.end(id, state, reason.clone())).await;
        let view = jobs.get(id).unwrap_or_default();
        let count = |name: &str| view.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
        match reason {
            None => log::info!(job = id, taught = count("taught"), bad = count("bad"); "job done"),
            Some(reason) => {
                log::warn!(job = id, taught = count("taught"), bad = count("bad"); "job failed: {reason}")
            }
        }
    }

    fn batches(&self, jobs: &Jobs, job: &Job) -> Result<Batches<File>, String> {
        let unreadable = |error: io::Error| format!("the upload cannot be read: {error}; upload it again");
        let file = jobs.input(job).map_err(unreadable)?;
        let mut records = Records::open(file, &job.format, &self.limits, self.stopped.clone())
            .map_err(|error| format!("{error}; upload it again"))?;
        records.forward(job.progress.position).map_err(unreadable)?;
        Ok(Batches::new(records, self.limits.clone()))
    }

    /// The error is why the job has failed.
    async fn teach_all(&self, jobs: &Jobs, id: &str, mut batches: Batches<File>) -> Result<(), String> {
        let mut teacher = Teacher::new(self.hybrid.clone(), self.backoff);
        let hold = |hold| note(jobs, id, hold);
        loop {
            let batch: Batch = batches
                .next()
                .map_err(|error| format!("the upload cannot be read: {error}; upload it again"))?;
            let taught: Taught = teacher.teach(&batch.lines, &hold).await;
            self.until_saved(jobs, id, || jobs.advance(id, &batch, &taught)).await;
            if let Some(reason) = batch.cut {
                return Err(reason);
            }
            if batch.is_last {
                break;
            }
            // Long stretches without a text must not keep others of this thread from their turn.
            tokio::task::yield_now().await;
        }
        let view = jobs.get(id).unwrap_or_default();
        if view.get("taught") == Some(&0.into()) && view.get("bad") != Some(&0.into()) {
            return Err("no line could be taught; bad_lines says why".to_owned());
        }
        Ok(())
    }

    /// Saves again and again until it succeeds: what was taught is not lost, only known in memory alone for a while.
    async fn until_saved(&self, jobs: &Jobs, id: &str, save: impl Fn() -> io::Result<bool>) {
        let mut tries = 0;
        while let Err(error) = save() {
            tries += 1;
            let reason =
                format!("progress cannot be written to DATA_DIR: {error}; make room there or repair it");
            note(jobs, id, Some(Hold { reason, tries }));
            tokio::time::sleep(self.backoff.pause(tries, None)).await;
        }
        if tries > 0 {
            note(jobs, id, None);
        }
    }
}

/// Shows what holds a job, and logs it when it begins and when it is over.
fn note(jobs: &Jobs, id: &str, hold: Option<Hold>) {
    let reason = hold.as_ref().map(|hold| hold.reason.clone());
    let was_held = jobs.hold(id, hold);
    match reason {
        Some(reason) if !was_held => log::warn!(job = id; "job waits: {reason}"),
        None if was_held => log::info!(job = id; "job goes on"),
        _ => {}
    }
}

/// Waits until a job was cancelled.
async fn ended(jobs: &Jobs, id: &str, mut news: watch::Receiver<u64>) {
    while !jobs.has_ended(id) {
        // The sender lives as long as the jobs.
        let _ = news.changed().await;
    }
}
