//! The HTTP API. Validates requests and runs blocking work on blocking threads.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sutra_service::{ApiError, Json};

use crate::concept::{Batch, Concept, check_id};
use crate::limits::Limits;
use crate::records::{Operation, OperationOutcome};
use crate::search::{SearchRequest, SearchResponse};
use crate::store::Store;

struct Shared {
    store: Arc<Store>,
    limits: Limits,
}

type App = State<Arc<Shared>>;

/// All routes except `/health`.
pub(crate) fn routes(store: Arc<Store>, limits: Limits) -> Router {
    let body = DefaultBodyLimit::max(limits.body_bytes);
    Router::new()
        .route("/v1/concepts", post(put_concepts))
        .route("/v1/concepts/{id}", get(get_concept).delete(delete_concept))
        .route("/v1/search", post(search))
        .route("/v1/stats", get(stats))
        .layer(body)
        .with_state(Arc::new(Shared { store, limits }))
}

async fn put_concepts(State(app): App, Json(batch): Json<Batch>) -> Result<Json<Value>, ApiError> {
    let concepts = batch.validate(&app.limits).map_err(ApiError::invalid)?;
    let ids: Vec<String> = concepts.iter().map(|concept| concept.id.clone()).collect();
    match app.store.apply(Operation::Put(concepts)).await? {
        OperationOutcome::Put { created, updated } => {
            Ok(Json(json!({"ids": ids, "created": created, "updated": updated})))
        }
        OperationOutcome::Refused(reason) => Err(ApiError::invalid(reason)),
        OperationOutcome::Delete(_) => Err(ApiError::internal("the writer returned a deletion for a batch")),
    }
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
        _ => Err(ApiError::internal("the writer returned a batch for a deletion")),
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
    let (stats, bytes_on_disk) = blocking(move || app.store.stats()).await?;
    Ok(Json(json!({
        "concepts": stats.concepts,
        "vectors": stats.vectors,
        "dimension": stats.dimension,
        "sequence": stats.sequence,
        "bytes_on_disk": bytes_on_disk,
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
    tokio::task::spawn_blocking(work).await?
}
