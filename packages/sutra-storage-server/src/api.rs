//! The HTTP API. Validates requests and runs blocking work on blocking threads.

use std::num::NonZeroU16;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use sutra_service::{ApiError, Json, in_request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::concept::{Batch, Concept, check_id, check_model};
use crate::limits::{Limits, MAX_PAGE, MAX_RESULTS};
use crate::records::{Operation, OperationOutcome};
use crate::search::{SearchRequest, SearchResponse};
use crate::store::Store;
use crate::transfer::{self, Imported};

struct Shared {
    store: Arc<Store>,
    limits: Limits,
    /// Exports and imports that may still start.
    transfers: Arc<Semaphore>,
}

/// Exports and imports at once: each holds some memory, and an export the disk space of what is replaced meanwhile.
const TRANSFERS: usize = 2;

type App = State<Arc<Shared>>;

impl Shared {
    fn transfer(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let busy = |_| {
            ApiError::unavailable(format!(
                "{TRANSFERS} exports or imports are running; retry when one has ended"
            ))
        };
        self.transfers.clone().try_acquire_owned().map_err(busy)
    }
}

/// All routes except `/health`.
pub(crate) fn routes(store: Arc<Store>, limits: Limits) -> Router {
    let body = DefaultBodyLimit::max(limits.body_bytes);
    Router::new()
        .route("/v1/concepts", post(put_concepts).get(list_concepts))
        .route("/v1/concepts/{id}", get(get_concept).delete(delete_concept))
        .route("/v1/search", post(search))
        .route("/v1/reembed", post(reembed))
        .route("/v1/stats", get(stats))
        .layer(body)
        // Read and stored as it arrives.
        .route("/v1/import", post(import).layer(DefaultBodyLimit::disable()))
        .route("/v1/export", get(export))
        .with_state(Arc::new(Shared { store, limits, transfers: Arc::new(Semaphore::new(TRANSFERS)) }))
}

async fn put_concepts(State(app): App, Json(batch): Json<Batch>) -> Result<Json<Value>, ApiError> {
    let (model, concepts) = batch.validate(&app.limits).map_err(ApiError::invalid)?;
    let ids: Vec<String> = concepts.iter().map(|concept| concept.id.clone()).collect();
    match app.store.apply(Operation::Put { model, concepts }).await? {
        OperationOutcome::Put { created, updated } => {
            Ok(Json(json!({"ids": ids, "created": created, "updated": updated})))
        }
        _ => Err(ApiError::internal("the writer returned something else for a batch")),
    }
}

/// The query of `GET /v1/concepts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// `next` of the page before.
    cursor: Option<String>,
    limit: Option<usize>,
}

/// A page of concepts, without vectors, ordered by id.
async fn list_concepts(
    State(app): App,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(List { cursor, limit }) = query.map_err(|error| ApiError::invalid(error.body_text()))?;
    let limit = limit.unwrap_or(MAX_RESULTS);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(ApiError::invalid(format!("limit is {limit}; it must be between 1 and {MAX_PAGE}")));
    }
    let invalid = || ApiError::invalid("cursor is invalid; use the value of \"next\" of the page before");
    let after = cursor.map(|cursor| from_cursor(&cursor).ok_or_else(invalid)).transpose()?;
    let mut page = blocking(move || app.store.page(after.as_deref(), limit)).await?;
    let next = page.concepts.last().filter(|_| page.has_more).map(|concept| to_cursor(&concept.id));
    page.concepts.iter_mut().for_each(|concept| concept.vector = None);
    Ok(Json(json!({"concepts": page.concepts, "next": next})))
}

/// Opaque to clients, and safe in a URL.
fn to_cursor(id: &str) -> String {
    id.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_cursor(cursor: &str) -> Option<String> {
    let (pairs, []) = cursor.as_bytes().as_chunks::<2>() else { return None };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    String::from_utf8(pairs.iter().map(byte).collect::<Option<_>>()?).ok().filter(|id| check_id(id).is_ok())
}

async fn export(State(app): App) -> Result<Response, ApiError> {
    let permit = app.transfer()?;
    blocking(move || transfer::export(app.store.view()?, permit)).await
}

/// The query of `POST /v1/import`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportOptions {
    /// Lines that are stored already.
    #[serde(default)]
    skip: u64,
}

async fn import(
    State(app): App,
    query: Result<Query<ImportOptions>, QueryRejection>,
    body: Body,
) -> Result<Json<Imported>, ApiError> {
    let Query(ImportOptions { skip }) = query.map_err(|error| ApiError::invalid(error.body_text()))?;
    let _permit = app.transfer()?;
    transfer::import(&app.store, &app.limits, skip, body).await.map(Json)
}

/// The request body of `POST /v1/reembed`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reembed {
    model: String,
    dimension: Option<NonZeroU16>,
}

/// Removes all vectors, and expects those of another model. The texts stay.
async fn reembed(
    State(app): App,
    Json(Reembed { model, dimension }): Json<Reembed>,
) -> Result<Json<Value>, ApiError> {
    check_model(&model).map_err(|problem| ApiError::invalid(format!("model {problem}")))?;
    let max = app.limits.dimension;
    let dimension = dimension.map(|dimension| u64::from(dimension.get()));
    if dimension.is_some_and(|dimension| dimension > max as u64) {
        return Err(ApiError::invalid(format!("dimension is larger than {max} (MAX_DIMENSION)")));
    }
    app.store.apply(Operation::Reembed { model: model.clone(), dimension }).await?;
    Ok(Json(json!({"model": model, "dimension": dimension})))
}

async fn get_concept(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Concept>, ApiError> {
    let id = validated_id(id)?;
    let missing = not_found(&id);
    blocking(move || app.store.concept(&id)).await?.map(Json).ok_or(missing)
}

async fn delete_concept(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = validated_id(id)?;
    match app.store.apply(Operation::Delete(id.clone())).await? {
        OperationOutcome::Delete(true) => Ok(Json(json!({"id": id, "deleted": true}))),
        OperationOutcome::Delete(false) => Err(not_found(&id)),
        _ => Err(ApiError::internal("the writer returned something else for a deletion")),
    }
}

async fn search(
    State(app): App,
    Json(request): Json<SearchRequest>,
) -> Result<Json<SearchResponse>, ApiError> {
    let search = request.validate(&app.limits).map_err(ApiError::invalid)?;
    let results = blocking(move || app.store.search(&search)).await?;
    Ok(Json(SearchResponse { results }))
}

async fn stats(State(app): App) -> Result<Json<Value>, ApiError> {
    let (stats, size) = blocking(move || app.store.stats()).await?;
    Ok(Json(json!({
        "concepts": stats.concepts,
        "vectors": stats.vectors,
        "dimension": stats.dimension,
        "model": stats.model,
        "sequence": stats.sequence,
        "bytes_on_disk": size.bytes_on_disk,
        "vector_bytes": size.vector_bytes,
        "vector_bytes_limit": size.vector_bytes_limit,
        "bytes_per_vector": (size.vector_bytes as u64).checked_div(stats.vectors),
    })))
}

fn validated_id(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::invalid("the id in the path is not percent-encoded UTF-8"))?;
    check_id(&id).map_err(|problem| ApiError::invalid(format!("the id in the path {problem}")))?;
    Ok(id)
}

fn not_found(id: &str) -> ApiError {
    ApiError::not_found(format!("unknown concept: {id:?}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(in_request(work)).await?
}
