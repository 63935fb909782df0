//! The thread that makes all changes. It applies queued requests as one group, so that many small requests share one disk
//! sync.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use sutra_service::ApiError;
use tokio::sync::{mpsc, oneshot};

use crate::concept::Concept;
use crate::index::TextEditor;
use crate::records::{Operation, OperationOutcome, Records};
use crate::vectors::{Editor as VectorEditor, Vectors};

/// Maximum number of queued requests. Bounds memory, because their bodies are held.
const QUEUE: usize = 16;

/// Why writing has stopped; set at most once.
pub(crate) type Failure = Arc<OnceLock<String>>;

struct Job {
    operation: Operation,
    reply: oneshot::Sender<Result<OperationOutcome, ApiError>>,
}

/// Handle of the writer thread. Dropping it ends the thread after its last group.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Everything the thread changes.
pub(crate) struct WriterState {
    pub records: Arc<Records>,
    pub text: TextEditor,
    pub vectors: VectorEditor,
    pub published: Arc<Vectors>,
    /// The sequence number of the last indexed change.
    pub indexed: u64,
    pub failure: Failure,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(mut state: WriterState) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            while let Some(first) = queue.blocking_recv() {
                let mut group = vec![first];
                while group.len() < QUEUE
                    && let Ok(next) = queue.try_recv()
                {
                    group.push(next);
                }
                state.process(group);
            }
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Queues an operation. Returns once it is on disk and searchable.
    pub(crate) async fn apply(&self, operation: Operation) -> Result<OperationOutcome, ApiError> {
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
            // The panic hook has already logged a panic.
            let _ = thread.join();
        }
    }
}

impl WriterState {
    fn process(&mut self, group: Vec<Job>) {
        let (operations, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.operation, job.reply)).unzip();
        // After a panic, callers must still get an answer, and the next group must not use a half-updated index.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.apply(&operations)))
            .unwrap_or_else(|_| Err("internal panic".to_owned()));
        match result {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // The caller may be gone; the change stays.
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

    /// Changes the records first, then index and vectors. After an error the thread must stop writing: the records may be
    /// ahead of the index until the next start.
    fn apply(&mut self, operations: &[Operation]) -> Result<Vec<OperationOutcome>, String> {
        if let Some(reason) = self.failure.get() {
            return Err(reason.clone());
        }
        let applied = self
            .records
            .apply(operations, self.indexed)
            .map_err(|error| format!("cannot write to the store: {error}"))?;
        if applied.changes.is_empty() {
            return Ok(applied.outcomes);
        }
        for (id, concept) in &applied.changes {
            self.text
                .replace(id, concept.map(|concept| concept.text.as_str()))
                .map_err(|error| format!("cannot write to the index: {error}"))?;
            self.change_vector(id, *concept);
        }
        self.text.commit(applied.sequence).map_err(|error| format!("cannot write to the index: {error}"))?;
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

/// The error for changes after writing has stopped.
pub(crate) fn stopped(reason: &str) -> ApiError {
    ApiError::unavailable(format!(
        "writing has stopped: {reason}; this change may or may not be stored; free disk space or repair the disk, restart \
         the service and send the change again with the same ids"
    ))
}
