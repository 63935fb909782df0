//! The routes common to all services: `/health`, a 503 until the service has started, error handling, the access log,
//! and `/metrics` on a port of its own.

use std::cell::RefCell;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use tower_service::Service as _;

use crate::application::Application;
use crate::bodies::HELD;
use crate::error::ApiError;
use crate::fallback::{with_fallbacks, wrong_method};
use crate::health;
use crate::hosts::{AllowedHosts, check_host};
use crate::metrics::{self, Metrics};
use crate::request_id::{carried, identify};
use crate::request_metrics::measure;
use crate::settings::Settings;

/// The state shared by all requests.
pub(crate) struct ServiceState {
    pub settings: Settings,
    /// Set once the service has started.
    pub application: OnceLock<Application>,
    pub stopping: AtomicBool,
    pub metrics: Metrics,
}

/// `/health` and the application's routes.
pub(crate) fn routes(service: Arc<ServiceState>) -> Router {
    Router::new()
        .route("/health", get(get_health))
        .fallback(any(call_application))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(AllowedHosts::new(&service.settings.allowed_hosts), check_host))
        .layer(from_fn(log_and_catch_panics))
        .layer(from_fn_with_state(service.metrics.requests.clone(), measure))
        .layer(from_fn(identify))
        .with_state(service)
}

/// `/metrics`, for a port of its own, which is not published with the service's.
pub(crate) fn metrics_routes(service: Arc<ServiceState>) -> Router {
    with_fallbacks(Router::new().route("/metrics", get(get_metrics).with_state(service.clone())))
        .layer(from_fn_with_state(AllowedHosts::new(&service.settings.allowed_hosts), check_host))
        .layer(from_fn(identify))
}

async fn get_metrics(State(service): State<Arc<ServiceState>>) -> Result<Response, ApiError> {
    let read =
        move || service.metrics.text(service.application.get().map(|application| &application.metrics));
    let text = tokio::task::spawn_blocking(read).await?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn get_health(State(service): State<Arc<ServiceState>>) -> Response {
    let health = service.application.get().map(Application::current_health);
    health::response(&service.settings, health, &service.stopping)
}

async fn call_application(State(service): State<Arc<ServiceState>>, mut request: Request) -> Response {
    match service.application.get() {
        Some(application) => {
            request.extensions_mut().insert(application.bodies.clone());
            // A router is always ready and never fails.
            match application.router.clone().call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
        None => ApiError::unavailable("the service is starting; retry once GET /health returns 200")
            .into_response(),
    }
}

/// Logs every request and turns a panic into a 500. The handler runs in its own task, which catches the panic and
/// finishes a write even if the client disconnects.
async fn log_and_catch_panics(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match tokio::spawn(carried(HELD.scope(RefCell::default(), next.run(request)))).await {
        Ok(response) => response,
        Err(error) => ApiError::internal(format!("{method} {path}: {error}")).into_response(),
    };
    let level = if path == "/health" { log::Level::Debug } else { log::Level::Info };
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (status, method) = (response.status().as_u16(), method.as_str());
    log::log!(level, method, path = path.as_str(), status, duration_ms; "request");
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{Health, HealthFields};
    use crate::json::Json;
    use axum::body::{Body, to_bytes};
    use axum::routing::post;
    use serde_json::Value;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Items {
        items: Vec<u8>,
    }

    fn service(started: bool) -> Arc<ServiceState> {
        let settings = Settings::from_environment("test", 1).expect("settings");
        let service = Arc::new(ServiceState {
            application: OnceLock::new(),
            stopping: AtomicBool::new(false),
            metrics: Metrics::new(&settings),
            settings,
        });
        if started {
            let router = Router::new()
                .route("/panic", get(|| async { panic!("on purpose") as &str }))
                .route("/count", post(|Json(body): Json<Items>| async move { body.items.len().to_string() }))
                .layer(axum::extract::DefaultBodyLimit::max(64));
            let set = service.application.set(Application::new(router));
            assert!(set.is_ok());
        }
        service
    }

    async fn send(service: &Arc<ServiceState>, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .expect("request");
        response(service, request).await
    }

    async fn response(service: &Arc<ServiceState>, request: Request) -> (u16, Value) {
        let response = routes(service.clone()).call(request).await.expect("response");
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("body");
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn health_is_503_until_the_service_has_started() {
        let (status, body) = send(&service(false), "GET", "/health", "").await;
        assert_eq!((status, &body["status"], &body["service"]), (503, &"starting".into(), &"test".into()));
        let (status, body) = send(&service(false), "GET", "/count", "").await;
        assert_eq!((status, &body["error"]["code"]), (503, &"unavailable".into()));

        let (status, body) = send(&service(true), "GET", "/health", "").await;
        assert_eq!((status, &body["status"], &body["edition"]), (200, &"ok".into(), &"simple".into()));
    }

    #[tokio::test]
    async fn a_failed_service_reports_the_reason() {
        let service = service(false);
        let application = Application::new(Router::new()).health(|| Health::Failed("disk".into()));
        assert!(service.application.set(application).is_ok());
        let (status, body) = send(&service, "GET", "/health", "").await;
        assert_eq!((status, &body["status"], &body["reason"]), (503, &"failed".into(), &"disk".into()));
    }

    #[tokio::test]
    async fn extra_fields_never_replace_required_ones() {
        let service = service(false);
        let fields = HealthFields::from_iter([
            ("dependencies".to_owned(), "x".into()),
            ("status".to_owned(), "mine".into()),
        ]);
        let application = Application::new(Router::new()).health(move || Health::Ready(fields.clone()));
        assert!(service.application.set(application).is_ok());
        let (_, body) = send(&service, "GET", "/health", "").await;
        assert_eq!((&body["status"], &body["dependencies"]), (&"ok".into(), &"x".into()));
    }

    #[tokio::test]
    async fn all_errors_have_the_same_format() {
        let service = service(true);
        let large = format!("{{\"items\":[{}1]}}", "1,".repeat(100));
        for (method, path, body, status, code, expected) in [
            ("GET", "/nowhere", "", 404, "not_found", "/nowhere"),
            ("GET", "/count", "", 405, "method_not_allowed", "/count"),
            ("POST", "/health", "", 405, "method_not_allowed", "/health"),
            ("GET", "/panic", "", 500, "internal_error", "log"),
            ("POST", "/count", "{", 400, "invalid_json", "EOF"),
            ("POST", "/count", "{\"items\":[1,300]}", 400, "invalid_request", "items[1]"),
            ("POST", "/count", "{\"items\":[],\"x\":1}", 400, "invalid_request", "unknown field `x`"),
            ("POST", "/count", &large, 413, "payload_too_large", "smaller"),
        ] {
            let (actual, body) = send(&service, method, path, body).await;
            let message = body["error"]["message"].as_str().unwrap_or_default();
            assert_eq!((actual, &body["error"]["code"]), (status, &code.into()), "{method} {path}");
            assert!(message.contains(expected), "{method} {path}: {message}");
        }
        let bare =
            Request::post("/count").header("host", "localhost").body(Body::from("{}")).expect("request");
        let (status, body) = response(&service, bare).await;
        assert_eq!((status, &body["error"]["code"]), (415, &"unsupported_media_type".into()));
    }
}
