//! The HTTP interface: requests are checked here, and what blocks is sent to threads that may.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use serde_json::{Value, json};
use sutra_service::{ApiError, Json};

use crate::concept::{Batch, Concept, check_id};
use crate::limits::Limits;
use crate::records::{Operation, Outcome};
use crate::search::{Question, Results};
use crate::store::Store;

struct Shared {
    store: Arc<Store>,
    limits: Limits,
}

type App = State<Arc<Shared>>;

/// All routes of the service but `/health`.
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
    let concepts = batch.check(&app.limits).map_err(ApiError::invalid)?;
    let ids: Vec<String> = concepts.iter().map(|concept| concept.id.clone()).collect();
    match app.store.apply(Operation::Put(concepts)).await? {
        Outcome::Put { created, updated } => {
            Ok(Json(json!({"ids": ids, "created": created, "updated": updated})))
        }
        Outcome::Refused(reason) => Err(ApiError::invalid(reason)),
        Outcome::Delete(_) => Err(ApiError::internal("the writer mistook a batch")),
    }
}

async fn get_concept(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Concept>, ApiError> {
    let id = id_of(id)?;
    let missing = unknown(&id);
    blocking(move || app.store.concept(&id)).await?.map(Json).ok_or(missing)
}

async fn delete_concept(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, ApiError> {
    let id = id_of(id)?;
    match app.store.apply(Operation::Delete(id.clone())).await? {
        Outcome::Delete(true) => Ok(Json(json!({"id": id, "deleted": true}))),
        Outcome::Delete(false) => Err(unknown(&id)),
        _ => Err(ApiError::internal("the writer mistook a deletion")),
    }
}

async fn search(State(app): App, Json(question): Json<Question>) -> Result<Json<Results>, ApiError> {
    let search = question.check(&app.limits).map_err(ApiError::invalid)?;
    let results = blocking(move || app.store.search(&search)).await?;
    Ok(Json(Results { results }))
}

async fn stats(State(app): App) -> Result<Json<Value>, ApiError> {
    let (numbers, bytes_on_disk) = blocking(move || app.store.stats()).await?;
    Ok(Json(json!({
        "concepts": numbers.concepts,
        "vectors": numbers.vectors,
        "dimension": numbers.dimension,
        "sequence": numbers.sequence,
        "bytes_on_disk": bytes_on_disk,
    })))
}

fn id_of(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) =
        id.map_err(|_| ApiError::invalid("the id in the path is not UTF-8 in percent encoding"))?;
    check_id(&id).map_err(|what| ApiError::invalid(format!("the id in the path {what}")))?;
    Ok(id)
}

fn unknown(id: &str) -> ApiError {
    ApiError::not_found(format!("there is no concept {id:?}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await?
}
