//! The worker thread: processes one job at a time, in order of arrival. Parallel jobs would not help, because hybrid is the
//! bottleneck.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::batch::{Batch, Batches};
use crate::data_dir::DataDir;
use crate::hybrid::Hybrid;
use crate::job::{Hold, Job, JobState};
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::records::Records;
use crate::teacher::{TeachResult, Teacher};

/// Delay between attempts to open the data folder.
const REOPEN_DELAY: Duration = Duration::from_secs(2);

/// Handle of the worker thread. Dropping it aborts the current batch, which is taught again after the next start, and
/// waits for the thread to end.
#[derive(Debug)]
pub(crate) struct Worker {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread, which opens the data folder if it is not open yet.
    pub(crate) fn start(
        data_dir: Arc<DataDir>,
        hybrid: Hybrid,
        backoff: Backoff,
        limits: Limits,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        // A separate runtime, so that the worker can finish while the server's runtime shuts down.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let mut end = stopped.clone();
                let health_checks = hybrid.clone().watch();
                let state = WorkerState { hybrid, backoff, limits, stopped };
                tokio::select! {
                    _ = end.wait_for(|stop| *stop) => {}
                    () = state.run(&data_dir) => {}
                    () = health_checks => {}
                }
            });
            // A blocking DNS lookup cannot be cancelled, so do not wait for it.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Whether the thread ended unexpectedly.
    pub(crate) fn has_failed(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // The panic hook has already logged a panic.
            let _ = thread.join();
        }
    }
}

struct WorkerState {
    hybrid: Hybrid,
    backoff: Backoff,
    limits: Limits,
    stopped: watch::Receiver<bool>,
}

impl WorkerState {
    /// Processes jobs until it is dropped.
    async fn run(&self, data_dir: &DataDir) {
        let jobs = loop {
            match data_dir.open() {
                Ok(jobs) => break jobs,
                Err(_) => tokio::time::sleep(REOPEN_DELAY).await,
            }
        };
        let mut updates = jobs.updates();
        loop {
            // Before reading the jobs, so that no update is missed.
            updates.mark_unchanged();
            let Some(job) = jobs.next() else {
                // The sender lives as long as the jobs.
                let _ = updates.changed().await;
                continue;
            };
            tokio::select! {
                biased;
                () = self.teach(&jobs, &job) => {}
                () = ended(&jobs, &job.id, updates.clone()) => log::info!(job = job.id.as_str(); "job cancelled"),
            }
        }
    }

    /// Processes a job to its end.
    async fn teach(&self, jobs: &Jobs, job: &Job) {
        let id = job.id.as_str();
        log::info!(job = id, bytes = job.bytes, from = job.progress.position.bytes; "job started");
        jobs.start(id);
        let (state, reason) = match self.batches(jobs, job) {
            Ok(batches) => self.teach_all(jobs, id, batches).await,
            Err(reason) => Err(reason),
        }
        .map_or_else(|reason| (JobState::Failed, Some(reason)), |()| (JobState::Done, None));
        if *self.stopped.borrow() {
            return;
        }
        self.save_with_retries(jobs, id, || jobs.end(id, state, reason.clone())).await;
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
        let unreadable = |error: io::Error| format!("cannot read the upload: {error}; upload it again");
        let file = jobs.input(job).map_err(unreadable)?;
        let mut records = Records::open(file, &job.format, &self.limits, self.stopped.clone())
            .map_err(|error| format!("{error}; upload it again"))?;
        records.seek_forward(job.progress.position).map_err(unreadable)?;
        Ok(Batches::new(records, self.limits.clone(), job.source.clone()))
    }

    /// Teaches all batches. An error is the reason why the job failed.
    async fn teach_all(&self, jobs: &Jobs, id: &str, mut batches: Batches<File>) -> Result<(), String> {
        let mut teacher = Teacher::new(self.hybrid.for_job(id), self.backoff);
        let hold = |hold| set_hold(jobs, id, hold);
        loop {
            // Before each batch, because hybrid may be replaced by another edition. If it does not answer, the last ones hold.
            if let Some(hybrid) = self.hybrid.limits().await {
                batches.set_limits(self.limits.within(&hybrid));
            }
            let batch: Batch = batches
                .next()
                .map_err(|error| format!("cannot read the upload: {error}; upload it again"))?;
            let taught: TeachResult = teacher.teach(&batch.lines, &hold).await;
            self.save_with_retries(jobs, id, || jobs.advance(id, &batch, &taught)).await;
            if let Some(reason) = batch.truncated {
                return Err(reason);
            }
            if batch.is_last {
                break;
            }
            // Long runs without a text must not starve other tasks of this thread.
            tokio::task::yield_now().await;
        }
        let view = jobs.get(id).unwrap_or_default();
        if view.get("taught") == Some(&0.into()) && view.get("bad") != Some(&0.into()) {
            return Err("no line could be taught; see bad_lines".to_owned());
        }
        Ok(())
    }

    /// Retries `save` until it succeeds.
    async fn save_with_retries(&self, jobs: &Jobs, id: &str, save: impl Fn() -> io::Result<bool>) {
        let mut tries = 0;
        while let Err(error) = save() {
            tries += 1;
            let reason = format!(
                "cannot write job progress to DATA_DIR: {error}; free disk space or repair the volume"
            );
            set_hold(jobs, id, Some(Hold { reason, tries }));
            tokio::time::sleep(self.backoff.delay(tries, None)).await;
        }
        if tries > 0 {
            set_hold(jobs, id, None);
        }
    }
}

/// Sets or clears the hold of a job and logs the change.
fn set_hold(jobs: &Jobs, id: &str, hold: Option<Hold>) {
    let reason = hold.as_ref().map(|hold| hold.reason.clone());
    let was_held = jobs.set_hold(id, hold);
    match reason {
        Some(reason) if !was_held => log::warn!(job = id; "job waiting: {reason}"),
        None if was_held => log::info!(job = id; "job resumed"),
        _ => {}
    }
}

/// Waits until a job has ended.
async fn ended(jobs: &Jobs, id: &str, mut updates: watch::Receiver<u64>) {
    while !jobs.has_ended(id) {
        // The sender lives as long as the jobs.
        let _ = updates.changed().await;
    }
}
