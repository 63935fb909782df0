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
use sutra_service::{ApiError, Json, discard, in_request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::concept::{Batch, Concept, check_id, check_ids, check_model};
use crate::limits::Limits;
use crate::listing::List;
use crate::records::{DELETED_AT_ONCE, Operation, OperationOutcome};
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
                "{TRANSFERS} exports or imports are running; retry when one has finished"
            ))
        };
        self.transfers.clone().try_acquire_owned().map_err(busy)
    }
}

/// All routes except `/health`.
pub(crate) fn routes(store: Arc<Store>, limits: Limits) -> Router {
    let body = DefaultBodyLimit::max(limits.body_bytes);
    Router::new()
        .route("/v1/concepts", post(put_concepts).get(list_concepts).delete(delete_source))
        .route("/v1/delete", post(delete_concepts))
        .route("/v1/concepts/{id}", get(get_concept).delete(delete_concept))
        .route("/v1/sources", get(list_sources))
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
        _ => Err(ApiError::internal("unexpected reply from the writer to a batch")),
    }
}

async fn list_concepts(
    State(app): App,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let listing = valid(query)?.validate()?;
    blocking(move || listing.concepts(&app.store)).await.map(Json)
}

async fn list_sources(
    State(app): App,
    query: Result<Query<List>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let listing = valid(query)?.validate()?;
    blocking(move || listing.sources(&app.store)).await.map(Json)
}

/// The query of `DELETE /v1/concepts`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfSource {
    source: String,
}

/// Removes all concepts of a source, also if the client does not wait. If the service stops in between, some are left.
async fn delete_source(
    State(app): App,
    query: Result<Query<OfSource>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let OfSource { source } = valid(query)?;
    let all = async move {
        let mut deleted = 0;
        loop {
            let count = delete(&app.store, Operation::DeleteSource(source.clone())).await?;
            deleted += count;
            if count < DELETED_AT_ONCE {
                return Ok(Json(json!({"deleted": deleted})));
            }
        }
    };
    tokio::spawn(all).await?
}

/// The request body of `POST /v1/delete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    ids: Vec<String>,
}

/// Removes the concepts with these ids; unknown ones are not counted.
async fn delete_concepts(State(app): App, Json(Ids { ids }): Json<Ids>) -> Result<Json<Value>, ApiError> {
    check_ids(&ids, &app.limits).map_err(ApiError::invalid)?;
    let deleted = delete(&app.store, Operation::Delete(ids)).await?;
    Ok(Json(json!({"deleted": deleted})))
}

async fn delete(store: &Store, operation: Operation) -> Result<usize, ApiError> {
    match store.apply(operation).await? {
        OperationOutcome::Delete(count) => Ok(count),
        _ => Err(ApiError::internal("unexpected reply from the writer to a deletion")),
    }
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
    mut body: Body,
) -> Result<Json<Imported>, ApiError> {
    let imported = import_from(&app, query, &mut body).await;
    if imported.is_err() {
        discard(body);
    }
    imported.map(Json)
}

async fn import_from(
    app: &Shared,
    query: Result<Query<ImportOptions>, QueryRejection>,
    body: &mut Body,
) -> Result<Imported, ApiError> {
    let ImportOptions { skip } = valid(query)?;
    let _permit = app.transfer()?;
    transfer::import(&app.store, &app.limits, skip, body).await
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
    match delete(&app.store, Operation::Delete(vec![id.clone()])).await? {
        0 => Err(not_found(&id)),
        _ => Ok(Json(json!({"id": id, "deleted": true}))),
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

fn valid<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|error| ApiError::invalid(error.body_text()))
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
