//! The response of `GET /health`.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::settings::Settings;

/// Extra fields of the response, such as `dependencies`.
pub type HealthFields = Map<String, Value>;

/// The health of a started service.
#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    /// Works. The fields are added to the response.
    Ready(HealthFields),
    /// No longer works. The text gives the reason and the remedy.
    Failed(String),
}

/// The response of `GET /health`; `health` is `None` while the service is starting.
pub(crate) fn response(settings: &Settings, health: Option<Health>, stopping: &AtomicBool) -> Response {
    let (code, status, extra) = match health {
        _ if stopping.load(Ordering::Relaxed) => {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping", HealthFields::default())
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting", HealthFields::default()),
        Some(Health::Ready(fields)) => (StatusCode::OK, "ok", fields),
        Some(Health::Failed(reason)) => {
            let reason = HealthFields::from_iter([("reason".to_owned(), Value::from(reason))]);
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
