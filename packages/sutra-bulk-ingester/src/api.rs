//! The HTTP interface: requests are checked here, and what blocks is sent to threads that may.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use sutra_service::{ApiError, Json};
use tokio::sync::watch;

use crate::jobs::{Cancelled, Jobs, Reservation, View};
use crate::limits::{Limits, MAX_JOBS_SHOWN};
use crate::records::{Format, Records, Unreadable};
use crate::service::Service;
use crate::spool::Incoming;
use crate::upload::{self, invalid, unwritable};

/// Jobs in an answer unless the request says otherwise.
const JOBS_SHOWN: usize = 20;

/// Seconds after which a client may ask again for a place among the jobs.
const COME_BACK: &str = "30";

type App = State<Arc<Service>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UploadQuery {
    column: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    limit: Option<usize>,
}

/// All routes of the service but `/health`.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/jobs", post(post_job).get(list_jobs))
        .route("/v1/jobs/{id}", get(get_job).delete(cancel_job))
        .with_state(service)
}

async fn post_job(
    State(app): App,
    query: Result<Query<UploadQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| invalid(error.body_text()))?;
    let format = upload::format(&headers, query.column)?;
    let limits = &app.configuration.limits;
    upload::check_length(&headers, limits.upload_bytes)?;
    let jobs = app.jobs()?;
    let Some(reservation) = jobs.reserve() else {
        return Ok(([(RETRY_AFTER, COME_BACK)], queue_full(limits)).into_response());
    };
    let incoming = {
        let jobs = jobs.clone();
        tokio::task::spawn_blocking(move || jobs.incoming()).await?.map_err(unwritable)?
    };
    let incoming =
        upload::receive(incoming, body, limits.upload_bytes, app.configuration.upload_idle).await?;
    let (jobs, limits) = (jobs.clone(), limits.clone());
    let view =
        tokio::task::spawn_blocking(move || accept(&jobs, &incoming, format, &limits, reservation)).await??;
    let id = view.get("id").and_then(Value::as_str).unwrap_or_default();
    log::info!(job = id; "job accepted");
    let place = format!("/v1/jobs/{id}");
    Ok((StatusCode::ACCEPTED, [(LOCATION, place)], Json(view)).into_response())
}

/// Makes an upload a job, if it can be read at all.
fn accept(
    jobs: &Jobs,
    incoming: &Incoming,
    format: Format,
    limits: &Limits,
    reservation: Reservation,
) -> Result<View, ApiError> {
    let file = incoming.reread().map_err(ApiError::internal)?;
    match Records::open(file, &format, limits, watch::channel(false).1) {
        Ok(_) => {}
        Err(Unreadable::Header(what)) => return Err(invalid(what)),
        Err(Unreadable::Disk(error)) => return Err(ApiError::internal(error)),
    }
    // Here already, since while a job is accepted no other record is written.
    incoming.sync().map_err(unwritable)?;
    jobs.accept(incoming, format, reservation).map_err(unwritable)
}

async fn list_jobs(
    State(app): App,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query.map_err(|error| invalid(error.body_text()))?;
    let limit = query.limit.unwrap_or(JOBS_SHOWN);
    if !(1..=MAX_JOBS_SHOWN).contains(&limit) {
        return Err(invalid(format!("limit is {limit}; set it to a number from 1 to {MAX_JOBS_SHOWN}")));
    }
    Ok(Json(json!({"jobs": app.jobs()?.list(limit)})))
}

async fn get_job(State(app): App, id: Result<Path<String>, PathRejection>) -> Result<Json<View>, ApiError> {
    let id = id_of(id)?;
    app.jobs()?.get(&id).map(Json).ok_or_else(|| unknown(&id))
}

async fn cancel_job(
    State(app): App,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<View>, ApiError> {
    let id = id_of(id)?;
    let jobs = app.jobs()?.clone();
    let missing = unknown(&id);
    let cancelled = tokio::task::spawn_blocking(move || jobs.cancel(&id)).await?;
    match cancelled.map_err(|error| ApiError::unavailable(format!("DATA_DIR cannot be written: {error}")))? {
        Cancelled::Yes(view) => Ok(Json(view)),
        Cancelled::TooLate(state) => Err(ApiError::new(
            StatusCode::CONFLICT,
            "job_ended",
            format!(
                "the job is {} already; there is nothing to cancel",
                json!(state).as_str().unwrap_or_default()
            ),
        )),
        Cancelled::Unknown => Err(missing),
    }
}

/// An id is only looked up among those in memory and never becomes a path, so nothing more need be checked.
fn id_of(id: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) =
        id.map_err(|_| ApiError::invalid("the id in the path is not UTF-8 in percent encoding"))?;
    Ok(id)
}

fn unknown(id: &str) -> ApiError {
    let id = crate::records::brief(id);
    ApiError::not_found(format!(
        "there is no job {id:?}; jobs that ended long ago are forgotten (MAX_ENDED_JOBS)"
    ))
}

fn queue_full(limits: &Limits) -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "queue_full",
        format!(
            "{} jobs and uploads have not ended, which is the most (MAX_QUEUED_JOBS); come back when one has",
            limits.queued_jobs
        ),
    )
}
