//! The HTTP API. Validates requests and runs blocking work on blocking threads.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use sutra_service::{ApiError, Json, discard, in_request};
use tokio::sync::watch;

use crate::excerpt::excerpt;
use crate::job::{CancelResult, JobView};
use crate::jobs::Jobs;
use crate::limits::{Limits, MAX_LISTED_JOBS};
use crate::pace::Pace;
use crate::records::{Format, Records, Unreadable};
use crate::service::Service;
use crate::text;
use crate::upload::{self, Upload, UploadQuery, disk_error, invalid};

/// Default number of jobs in a list.
const DEFAULT_JOBS: usize = 20;

/// `Retry-After` of a full queue, in seconds.
const RETRY_SECONDS: &str = "30";

type App = State<Arc<Service>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// All routes except `/health`.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/jobs", post(post_job).get(list_jobs))
        .route("/v1/jobs/{id}", get(get_job).delete(cancel_job))
        .with_state(service)
}

async fn post_job(
    State(app): App,
    RawQuery(raw): RawQuery,
    query: Result<Query<UploadQuery>, QueryRejection>,
    headers: HeaderMap,
    mut body: Body,
) -> Result<Response, ApiError> {
    let answer = match upload::is_utf_8(&raw.unwrap_or_default()) {
        true => receive_job(&app, query, &headers, &mut body).await,
        false => Err(invalid("the query is not percent-encoded UTF-8")),
    };
    if !matches!(&answer, Ok(answer) if answer.status() == StatusCode::ACCEPTED) {
        discard(body);
    }
    answer
}

async fn receive_job(
    app: &Arc<Service>,
    query: Result<Query<UploadQuery>, QueryRejection>,
    headers: &HeaderMap,
    body: &mut Body,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| invalid(error.body_text()))?;
    let format = upload::format(headers, &query)?;
    let source = query.source.map(|source| text::source(&source)).transpose().map_err(invalid)?;
    let limits = &app.configuration.limits;
    upload::check_length(headers, limits.upload_bytes)?;
    let jobs = app.jobs()?;
    let Some(reservation) = jobs.reserve() else {
        return Ok(([(RETRY_AFTER, RETRY_SECONDS)], queue_full(limits)).into_response());
    };
    let upload = {
        let jobs = jobs.clone();
        let start = in_request(move || jobs.incoming().map(|incoming| Upload { reservation, incoming }));
        tokio::task::spawn_blocking(start).await?.map_err(disk_error)?
    };
    let pace = Pace::new(app.configuration.upload_idle, limits.upload_rate);
    let upload = upload::receive(upload, body, limits.upload_bytes, pace).await?;
    let (jobs, limits) = (jobs.clone(), limits.clone());
    let accept = in_request(move || accept(&jobs, upload, format, source, &limits));
    let view = tokio::task::spawn_blocking(accept).await??;
    let id = view.get("id").and_then(Value::as_str).unwrap_or_default();
    log::info!(job = id; "job accepted");
    let location = format!("/v1/jobs/{id}");
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(view)).into_response())
}

/// Turns an upload into a job if its header is valid.
fn accept(
    jobs: &Jobs,
    upload: Upload,
    format: Format,
    source: Option<String>,
    limits: &Limits,
) -> Result<JobView, ApiError> {
    let file = upload.incoming.reader().map_err(ApiError::internal)?;
    match Records::open(file, &format, limits, watch::channel(false).1) {
        Ok(_) => {}
        Err(Unreadable::Header(problem)) => return Err(invalid(problem)),
        Err(Unreadable::Disk(error)) => return Err(ApiError::internal(error)),
    }
    // Synced before accepting, because accepting blocks the writes of all other records.
    upload.incoming.sync().map_err(disk_error)?;
    jobs.accept(&upload.incoming, format, source, upload.reservation).map_err(disk_error)
}

async fn list_jobs(
    State(app): App,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query.map_err(|error| invalid(error.body_text()))?;
    let limit = query.limit.unwrap_or(DEFAULT_JOBS);
    if !(1..=MAX_LISTED_JOBS).contains(&limit) {
        return Err(invalid(format!("limit is {limit}; it must be between 1 and {MAX_LISTED_JOBS}")));
    }
    let cursor = query.cursor.as_deref();
    if let Some(cursor) = cursor
        && !app.jobs()?.is_cursor(cursor)
    {
        let cursor = excerpt(cursor);
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_cursor",
            format!("invalid cursor: {cursor:?}; use `next` of the previous page, or omit it"),
        ));
    }
    let (jobs, has_more) = app.jobs()?.list(limit, cursor);
    let next = if has_more { jobs.last().and_then(|job| job.get("id")).cloned() } else { None };
    let mut page = json!({"jobs": jobs});
    if let Some(next) = next {
        page["next"] = next;
    }
    Ok(Json(page))
}

async fn get_job(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<JobView>, ApiError> {
    let id = decoded_id(id)?;
    app.jobs()?.get(&id).map(Json).ok_or_else(|| not_found(&id))
}

async fn cancel_job(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<JobView>, ApiError> {
    let id = decoded_id(id)?;
    let jobs = app.jobs()?.clone();
    let missing = not_found(&id);
    let cancelled = tokio::task::spawn_blocking(in_request(move || jobs.cancel(&id))).await?;
    match cancelled.map_err(|error| ApiError::unavailable(format!("cannot write to DATA_DIR: {error}")))? {
        CancelResult::Cancelled(view) => Ok(Json(view)),
        CancelResult::Ended(state) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "job_ended",
            format!("the job has already ended: {}", json!(state).as_str().unwrap_or_default()),
        )),
        CancelResult::Unknown => Err(missing),
    }
}

/// Needs no further checks: ids are only looked up in memory and never used as a path.
fn decoded_id(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) = id.map_err(|_| ApiError::invalid("the id in the path is not percent-encoded UTF-8"))?;
    Ok(id)
}

fn not_found(id: &str) -> ApiError {
    let id = excerpt(id);
    ApiError::not_found(format!("unknown job: {id:?}; old ended jobs are deleted (MAX_ENDED_JOBS)"))
}

fn queue_full(limits: &Limits) -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "queue_full",
        format!(
            "the queue is full: {} active jobs and uploads (MAX_QUEUED_JOBS); retry when one has finished",
            limits.queued_jobs
        ),
    )
}
