//! The one thread that changes anything. It takes what has gathered since its last turn as one group, so that many
//! small requests share one sync of the disk.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use sutra_service::ApiError;
use tokio::sync::{mpsc, oneshot};

use crate::concept::Concept;
use crate::index::TextEditor;
use crate::records::{Operation, Outcome, Records};
use crate::vectors::{Editor as VectorEditor, Vectors};

/// Requests that may wait; their bodies are in memory, so this bounds it.
const QUEUE: usize = 16;

/// What a caller gets when nobody can write any more.
pub(crate) type Failure = Arc<OnceLock<String>>;

struct Job {
    operation: Operation,
    reply: oneshot::Sender<Result<Outcome, ApiError>>,
}

/// Where changes are handed in. Dropping it ends the thread after its last group.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Everything the thread changes.
pub(crate) struct Hands {
    pub records: Arc<Records>,
    pub text: TextEditor,
    pub vectors: VectorEditor,
    pub published: Arc<Vectors>,
    /// Up to which sequence number the index has everything.
    pub indexed: u64,
    pub failure: Failure,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(mut hands: Hands) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                let mut group = vec![first];
                while group.len() < QUEUE
                    && let Ok(next) = queue.try_recv()
                {
                    group.push(next);
                }
                hands.work(group);
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands in one operation; the answer comes when it is on disk and can be found.
    pub(crate) async fn apply(&self, operation: Operation) -> Result<Outcome, ApiError> {
        let (reply, answer) = oneshot::channel();
        let gone = || ApiError::internal("the writer thread has ended");
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Job { operation, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread is in the log already.
            let _ = thread.join();
        }
    }
}

impl Hands {
    fn work(&mut self, group: Vec<Job>) {
        let (operations, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.operation, job.reply)).unzip();
        // A panic must not leave callers without an answer, nor the next group with a half-done index.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.apply(&operations)))
            .unwrap_or_else(|_| Err("a fault inside the service".to_owned()));
        match done {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // Nobody may be waiting any more; what was done stays done.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(reason) => {
                let reason = self.failure.get_or_init(|| reason);
                log::error!("writing has stopped: {reason}");
                for reply in replies {
                    let _ = reply.send(Err(stopped(reason)));
                }
            }
        }
    }

    /// Records first, then what is derived from them. An error means that the thread must not go on: the records may
    /// be ahead of the index, which only a start puts right.
    fn apply(&mut self, operations: &[Operation]) -> Result<Vec<Outcome>, String> {
        if let Some(reason) = self.failure.get() {
            return Err(reason.clone());
        }
        let applied = self
            .records
            .apply(operations, self.indexed)
            .map_err(|error| format!("the store cannot be written: {error}"))?;
        if applied.changes.is_empty() {
            return Ok(applied.outcomes);
        }
        for (id, concept) in &applied.changes {
            self.text
                .replace(id, concept.map(|concept| concept.text.as_str()))
                .map_err(|error| format!("the index cannot be written: {error}"))?;
            self.change_vector(id, *concept);
        }
        self.text
            .commit(applied.sequence)
            .map_err(|error| format!("the index cannot be written: {error}"))?;
        self.indexed = applied.sequence;
        self.vectors.publish(&self.published);
        Ok(applied.outcomes)
    }

    fn change_vector(&mut self, id: &str, concept: Option<&Concept>) {
        match concept.and_then(|concept| concept.vector.as_deref()) {
            Some(vector) => self.vectors.put(id, vector),
            None => self.vectors.remove(id),
        }
    }
}

/// The answer to writers once writing has stopped.
pub(crate) fn stopped(reason: &str) -> ApiError {
    ApiError::unavailable(format!(
        "writing has stopped: {reason}; this change may or may not have been kept; make room on the disk or repair it, \
         restart the service and send the change again under the same ids"
    ))
}
