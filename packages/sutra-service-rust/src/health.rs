//! What `/health` says.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::Settings;

/// Further fields of `/health`, such as `dependencies`.
pub type Fields = Map<String, Value>;

/// How a service that has started is.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// It does its work; the fields are added to the answer.
    Ready(Fields),
    /// It cannot do its work any more; the text says why and what to do.
    Failed(String),
}

/// The answer of `/health`. `condition` is none while the service is starting.
pub(crate) fn answer(settings: &Settings, condition: Option<Condition>, stopping: &AtomicBool) -> Response {
    let (code, status, extra) = match condition {
        _ if stopping.load(Ordering::Relaxed) => {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping", Fields::default())
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting", Fields::default()),
        Some(Condition::Ready(fields)) => (StatusCode::OK, "ok", fields),
        Some(Condition::Failed(reason)) => {
            let reason = Fields::from_iter([("reason".to_owned(), Value::from(reason))]);
            (StatusCode::SERVICE_UNAVAILABLE, "failed", reason)
        }
    };
    let mut body = extra;
    for (name, value) in [
        ("status", status),
        ("service", settings.service),
        ("version", &settings.version),
        ("edition", &settings.edition),
    ] {
        body.insert(name.to_owned(), Value::from(value));
    }
    (code, axum::Json(body)).into_response()
}
