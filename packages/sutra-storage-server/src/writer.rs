//! The thread that makes all changes. It applies queued requests as one group, so that many small requests share one disk
//! sync.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use sutra_service::ApiError;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::index::{TextEditor, TextIndex};
use crate::records::{Operation, OperationOutcome, Records};
use crate::refusal;
use crate::store::{StoreConfig, open_index};
use crate::vectors::Vectors;

/// Maximum number of queued requests. Bounds memory, because their bodies are held.
const QUEUE: usize = 16;

/// Time between two attempts to go on after an error.
const RETRY: Duration = Duration::from_secs(1);

/// Free disk space that is never used, in bytes: records and index need some to write even a deletion.
const DISK_RESERVE: u64 = 8 << 20;

/// Disk space that a change may need for each of its bytes: old and new pages, the index and its merges.
const DISK_FACTOR: u64 = 4;

/// Why writing has stopped; `None` while it works.
pub(crate) type Failure = Arc<RwLock<Option<String>>>;

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
    pub config: StoreConfig,
    pub records: Arc<Records>,
    /// `None` while the index cannot be opened again after an error.
    pub editor: Option<TextEditor>,
    pub text: Arc<RwLock<TextIndex>>,
    pub vectors: Arc<Vectors>,
    /// The sequence number of the last indexed change.
    pub indexed: u64,
    pub failure: Failure,
}

impl Writer {
    /// Starts the thread; needs a Tokio runtime.
    pub(crate) fn start(mut state: WriterState) -> std::io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(move || {
            loop {
                state.recover();
                let next = match state.has_failed() {
                    true => runtime.block_on(async { timeout(RETRY, queue.recv()).await }),
                    false => Ok(queue.blocking_recv()),
                };
                match next {
                    Ok(Some(first)) => state.process(group(first, &mut queue)),
                    Ok(None) => break,
                    Err(_) => {}
                }
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

/// The job and those that wait behind it.
fn group(first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut group = vec![first];
    while group.len() < QUEUE
        && let Ok(next) = queue.try_recv()
    {
        group.push(next);
    }
    group
}

impl WriterState {
    fn process(&mut self, group: Vec<Job>) {
        let (operations, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|job| (job.operation, job.reply)).unzip();
        // After a panic, callers must still get an answer, and the next group must not use a half-updated index.
        let result = catch_unwind(AssertUnwindSafe(|| self.admit(operations)))
            .unwrap_or_else(|_| Err("internal panic".to_owned()));
        match result {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    // The caller may be gone; the change stays.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(reason) => {
                if !self.has_failed() {
                    log::error!("writing has stopped: {reason}");
                }
                for reply in replies {
                    let _ = reply.send(Err(stopped(&reason)));
                }
                self.set_failure(Some(reason));
            }
        }
    }

    /// Applies the operations that fit into memory and onto the disk, and refuses the others.
    fn admit(&mut self, operations: Vec<Operation>) -> Result<Vec<OperationOutcome>, String> {
        if let Some(reason) = self.failure.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Err(reason);
        }
        let mut refused = Vec::new();
        let (mut admitted, mut bytes) = (Vec::new(), 0);
        for operation in operations {
            let refusal = self.refusal(&operation, &admitted, &mut bytes);
            if refusal.is_none() {
                admitted.push(operation);
            }
            refused.push(refusal);
        }
        let mut outcomes = self.apply(&admitted)?.into_iter();
        let outcome = |refusal: Option<_>| refusal.map(OperationOutcome::Refused).or_else(|| outcomes.next());
        Ok(refused.into_iter().filter_map(outcome).collect())
    }

    /// The refusal if an operation does not fit. `bytes` is the total size of the operations admitted so far.
    fn refusal(&self, operation: &Operation, admitted: &[Operation], bytes: &mut u64) -> Option<ApiError> {
        let Operation::Put { concepts, .. } = operation else { return None };
        let size: usize = concepts.iter().map(|concept| concept.size()).sum();
        let needed = DISK_RESERVE + (*bytes + size as u64) * DISK_FACTOR;
        // If the system cannot tell, writing will.
        let available = fs4::available_space(&self.config.folder).unwrap_or(u64::MAX);
        if available < needed {
            return Some(refusal::disk_is_full(needed, available));
        }
        let before = admitted.iter().filter_map(|operation| match operation {
            Operation::Put { concepts, .. } => Some(concepts),
            _ => None,
        });
        let with_vector = || {
            let all = before.clone().chain([concepts]).flatten();
            all.filter_map(|concept| Some((concept.id.as_str(), concept.vector.as_ref()?.len())))
        };
        let dimension = with_vector().map(|(_, dimension)| dimension).max().unwrap_or_default();
        let (now, then) = self.vectors.bytes_with(with_vector().map(|(id, _)| id), dimension);
        if then > now && then > self.config.vector_limit {
            return Some(refusal::memory_is_full(then, self.config.vector_limit));
        }
        *bytes += size as u64;
        None
    }

    /// Changes the records first, then index and vectors. After an error, the records may be ahead of the others until
    /// [`WriterState::recover`].
    fn apply(&mut self, operations: &[Operation]) -> Result<Vec<OperationOutcome>, String> {
        let failed =
            |what: &'static str| move |error: &dyn Display| format!("cannot write to the {what}: {error}");
        let applied = self
            .records
            .apply(operations, self.indexed, &self.vectors)
            .map_err(|error| failed("store")(&error))?;
        if applied.sequence == self.indexed {
            return Ok(applied.outcomes);
        }
        let editor = self.editor.as_mut().ok_or("the index is not open")?;
        for (id, concept) in &applied.changes {
            editor
                .replace(id, concept.map(|concept| concept.text.as_str()))
                .map_err(|error| failed("index")(&error))?;
        }
        editor.commit(applied.sequence).map_err(|error| failed("index")(&error))?;
        if applied.reset_vectors {
            self.vectors.clear();
        }
        self.vectors.change(&applied.vectors);
        self.indexed = applied.sequence;
        Ok(applied.outcomes)
    }

    /// After an error, reopens everything. If that works, writing resumes.
    fn recover(&mut self) {
        if !self.has_failed() {
            return;
        }
        let reopened = catch_unwind(AssertUnwindSafe(|| self.reopen()));
        match reopened.unwrap_or_else(|_| Err("internal panic".to_owned())) {
            Ok(()) => {
                log::info!("writing has resumed");
                self.set_failure(None);
            }
            Err(reason) => log::debug!("cannot open the store again: {reason}"),
        }
    }

    fn reopen(&mut self) -> Result<(), String> {
        // The index allows one writer.
        self.editor = None;
        self.records.reopen().map_err(|error| error.to_string())?;
        let (text, editor) = open_index(&self.config, &self.records).map_err(|error| error.to_string())?;
        let view = self.records.view().map_err(|error| error.to_string())?;
        let sequence = view.stats().map_err(|error| error.to_string())?.sequence;
        if sequence != self.indexed {
            self.vectors.load(&view).map_err(|error| error.to_string())?;
        }
        *self.text.write().unwrap_or_else(PoisonError::into_inner) = text;
        self.editor = Some(editor);
        self.indexed = sequence;
        Ok(())
    }

    fn has_failed(&self) -> bool {
        self.failure.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn set_failure(&self, reason: Option<String>) {
        *self.failure.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// The error for a change when writing has stopped.
fn stopped(reason: &str) -> ApiError {
    ApiError::unavailable(format!(
        "writing has stopped: {reason}; this change may or may not be stored; the service tries to go on every second; free \
         disk space or repair the disk, and send the change again with the same ids"
    ))
}
