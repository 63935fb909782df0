//! Export and import of all concepts, as JSON lines: first what the store holds (`{"store":{…}}`), then one concept a line.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use http_body_util::BodyExt as _;
use http_body_util::channel::{Channel, Sender};
use serde::{Deserialize, Serialize};
use sutra_service::ApiError;
use tokio::sync::OwnedSemaphorePermit;

use crate::concept::{Concept, NewConcept, check_model};
use crate::limits::Limits;
use crate::records::{Operation, OperationOutcome};
use crate::store::Store;
use crate::view::View;

/// Concepts that are read at once.
const PAGE: usize = 64;

/// How long a client may take for one page of an export, or pause in an import.
const PATIENCE: Duration = Duration::from_secs(60);

/// Imported bytes that are stored at once.
const IMPORT_BYTES: usize = 4 << 20;

/// The first line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    store: Contents,
}

/// What a store holds.
#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    model: Option<String>,
    dimension: Option<u64>,
    concepts: u64,
}

/// All concepts as they are now, ordered by id. Keeps the permit until the last has been sent.
pub(crate) fn export(view: View, permit: OwnedSemaphorePermit) -> Result<Response, ApiError> {
    let stats = view.stats().map_err(ApiError::internal)?;
    let contents = Contents { model: stats.model, dimension: stats.dimension, concepts: stats.concepts };
    let first = line(&Header { store: contents }).map_err(ApiError::internal)?;
    let (sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    tokio::spawn(async move {
        if let Err(problem) = send_all(view, first, sender).await {
            log::warn!("an export ended early: {problem}");
        }
        drop(permit);
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(body)).into_response())
}

async fn send_all(
    view: View,
    first: Vec<u8>,
    mut sender: Sender<Bytes, std::io::Error>,
) -> Result<(), String> {
    let view = Arc::new(view);
    let (mut after, mut bytes) = (None, first);
    loop {
        match tokio::time::timeout(PATIENCE, sender.send_data(bytes.into())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err("the client disconnected".to_owned()),
            Err(_) => {
                sender.abort(std::io::ErrorKind::TimedOut.into());
                return Err("the client reads too slowly".to_owned());
            }
        }
        let (view, start) = (view.clone(), after.take());
        let read = tokio::task::spawn_blocking(move || page(&view, start.as_deref())).await;
        // Without an error, the client would take what it has for everything.
        match read.map_err(|error| error.to_string()).and_then(|page| page) {
            Ok(Some((last, page))) => (after, bytes) = (Some(last), page),
            Ok(None) => return Ok(()),
            Err(problem) => {
                sender.abort(std::io::Error::other(problem.clone()));
                return Err(problem);
            }
        }
    }
}

/// The next concepts as lines, and the last one's id; `None` at the end.
fn page(view: &View, after: Option<&str>) -> Result<Option<(String, Vec<u8>)>, String> {
    let concepts = view.page(after, PAGE).map_err(|error| error.to_string())?.concepts;
    let mut bytes = Vec::new();
    for concept in &concepts {
        bytes.extend(line(concept).map_err(|error| error.to_string())?);
    }
    Ok(concepts.into_iter().next_back().map(|concept| (concept.id, bytes)))
}

fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The response body of an import.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Imported {
    /// Number of lines, with those that were skipped.
    lines: u64,
    created: usize,
    updated: usize,
}

/// Stores the concepts of an export as they arrive. The first `skip` lines are not read, other than the header.
pub(crate) async fn import(
    store: &Store,
    limits: &Limits,
    skip: u64,
    body: &mut Body,
) -> Result<Imported, ApiError> {
    let mut import = Import { skip, ..Import::new(store, limits) };
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
        let paused = || import.problem(format!("no data received for {} s", PATIENCE.as_secs()));
        let Some(frame) = frame.map_err(|_| paused())? else { break };
        let frame = frame.map_err(|error| import.problem(format!("the body ended early: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let searched = rest.len();
        rest.extend_from_slice(&data);
        let mut taken = 0;
        for Range { start, end } in lines(&rest, searched) {
            import.take(&rest[start..end]).await?;
            taken = end + 1;
        }
        rest.drain(..taken);
        // Before more of it is held.
        if rest.len() > limits.body_bytes {
            import.take(&rest).await?;
        }
    }
    if !rest.is_empty() {
        import.take(&rest).await?;
    }
    import.finish().await
}

/// The complete lines. There is no line end before `searched`.
fn lines(bytes: &[u8], searched: usize) -> Vec<Range<usize>> {
    let mut start = 0;
    let ends = bytes[searched..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut ranges = Vec::new();
    for (place, _) in ends {
        let end = searched + place;
        ranges.push(start..end);
        start = end + 1;
    }
    ranges
}

struct Import<'a> {
    store: &'a Store,
    limits: &'a Limits,
    skip: u64,
    header: Option<Contents>,
    done: Imported,
    /// Concepts that are not stored yet, and their size.
    waiting: Vec<Concept>,
    waiting_bytes: usize,
    /// Lines up to which everything is stored.
    stored: u64,
    concepts: u64,
}

impl<'a> Import<'a> {
    fn new(store: &'a Store, limits: &'a Limits) -> Self {
        Self {
            store,
            limits,
            skip: 0,
            header: None,
            done: Imported::default(),
            waiting: Vec::new(),
            waiting_bytes: 0,
            stored: 0,
            concepts: 0,
        }
    }

    async fn take(&mut self, line: &[u8]) -> Result<(), ApiError> {
        self.done.lines += 1;
        let max = self.limits.body_bytes;
        if line.len() > max {
            return Err(self.bad_line(&format!("is longer than {max} bytes (MAX_BODY_BYTES)")).await);
        }
        if self.done.lines == 1
            && let Ok(Header { store }) = serde_json::from_slice(line)
        {
            if let Some(problem) = store.model.as_deref().and_then(|model| check_model(model).err()) {
                return Err(self.bad_line(&format!("has a model that {problem}")).await);
            }
            self.header = Some(store);
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        self.concepts += 1;
        if self.done.lines <= self.skip {
            return Ok(());
        }
        let concept =
            serde_json::from_slice::<NewConcept>(line).map_err(|error| format!("is not a concept: {error}"));
        let concept = concept.and_then(|new| {
            new.validate(self.limits).map_err(|problem| format!("has a concept whose {problem}"))
        });
        match concept {
            Ok(concept) => {
                self.waiting_bytes += concept.size();
                self.waiting.push(concept);
            }
            Err(problem) => return Err(self.bad_line(&problem).await),
        }
        if self.waiting.len() >= self.limits.batch || self.waiting_bytes >= IMPORT_BYTES {
            self.store().await?;
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), ApiError> {
        let concepts = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if !concepts.is_empty() {
            let model = self.header.as_ref().and_then(|header| header.model.clone());
            match self.store.apply(Operation::Put { model, concepts }).await {
                Ok(OperationOutcome::Put { created, updated }) => {
                    self.done.created += created;
                    self.done.updated += updated;
                }
                Ok(_) => return Err(ApiError::internal("unexpected reply from the writer to a batch")),
                Err(error) => return Err(self.problem_of(error)),
            }
        }
        self.stored = self.done.lines;
        Ok(())
    }

    async fn finish(mut self) -> Result<Imported, ApiError> {
        self.store().await?;
        match self.header.as_ref().map(|header| header.concepts) {
            Some(expected) if expected > self.concepts => {
                let found = self.concepts;
                Err(self
                    .problem(format!("the export has {expected} concepts, but the body ended after {found}")))
            }
            _ => Ok(self.done),
        }
    }

    /// The error for the current line. What is before it is stored.
    async fn bad_line(&mut self, problem: &str) -> ApiError {
        let line = self.done.lines;
        self.done.lines -= 1;
        match self.store().await {
            Ok(()) => self.problem(format!("line {line} {problem}")),
            Err(error) => error,
        }
    }

    fn problem(&self, problem: String) -> ApiError {
        self.problem_of(ApiError::invalid(problem))
    }

    /// Adds how to continue.
    fn problem_of(&self, error: ApiError) -> ApiError {
        let stored = self.stored.max(self.skip);
        let message = format!(
            "{}; the first {stored} lines are stored; to continue, send everything again with ?skip={stored}",
            error.message
        );
        ApiError { message, ..error }
    }
}
