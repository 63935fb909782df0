//! What surrounds a service's own routes: `/health`, the answers before it has started, errors, the access log.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Router, http::Uri};
use tower_service::Service as _;

use crate::program::Application;
use crate::{ApiError, Settings, health};

/// The service as requests find it, whether it has started or not.
pub(crate) struct Front {
    pub settings: Settings,
    /// Set once, when the service has started.
    pub application: OnceLock<Application>,
    pub stopping: AtomicBool,
}

/// All routes of a service.
pub(crate) fn surround(front: Arc<Front>) -> Router {
    Router::new()
        .route("/health", get(answer_health))
        .fallback(any(pass_on))
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(guard))
        .with_state(front)
}

/// A service's own routes with the answers for what they do not know.
pub(crate) fn own(router: Router) -> Router {
    router.fallback(unknown_path).method_not_allowed_fallback(wrong_method)
}

async fn answer_health(State(front): State<Arc<Front>>) -> Response {
    let condition = front.application.get().map(Application::condition);
    health::answer(&front.settings, condition, &front.stopping)
}

async fn pass_on(State(front): State<Arc<Front>>, request: Request) -> Response {
    match front.application.get() {
        // A router is always ready to be called and cannot fail.
        Some(application) => match application.router.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => ApiError::unavailable("the service is starting; ask again when /health answers 200")
            .into_response(),
    }
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is nothing at {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} is not for {}; the Allow header names what is", uri.path()),
    )
}

/// Answers a panic with 500 and logs every request. The handler runs as a task of its own: that is what contains its
/// panic, and a client that goes away does not stop a write half-way.
async fn guard(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = match tokio::spawn(next.run(request)).await {
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
    use crate::{Condition, Fields, Json};
    use axum::body::{Body, to_bytes};
    use axum::routing::post;
    use serde_json::Value;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body1 {
        items: Vec<u8>,
    }

    fn front(started: bool) -> Arc<Front> {
        let settings = Settings::from_environment("test", 1).expect("settings");
        let front =
            Arc::new(Front { settings, application: OnceLock::new(), stopping: AtomicBool::new(false) });
        if started {
            let router = Router::new()
                .route("/panic", get(|| async { panic!("on purpose") as &str }))
                .route("/count", post(|Json(body): Json<Body1>| async move { body.items.len().to_string() }))
                .layer(axum::extract::DefaultBodyLimit::max(64));
            let set = front.application.set(Application::new(router));
            assert!(set.is_ok());
        }
        front
    }

    async fn ask(front: &Arc<Front>, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .expect("request");
        answer(front, request).await
    }

    async fn answer(front: &Arc<Front>, request: Request) -> (u16, Value) {
        let response = surround(front.clone()).call(request).await.expect("response");
        let status = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.expect("body");
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn health_is_503_until_the_service_has_started() {
        let (status, body) = ask(&front(false), "GET", "/health", "").await;
        assert_eq!((status, &body["status"], &body["service"]), (503, &"starting".into(), &"test".into()));
        let (status, body) = ask(&front(false), "GET", "/count", "").await;
        assert_eq!((status, &body["error"]["code"]), (503, &"unavailable".into()));

        let (status, body) = ask(&front(true), "GET", "/health", "").await;
        assert_eq!((status, &body["status"], &body["edition"]), (200, &"ok".into(), &"simple".into()));
    }

    #[tokio::test]
    async fn a_failed_service_says_why() {
        let front = front(false);
        let application = Application::new(Router::new()).health(|| Condition::Failed("disk".into()));
        assert!(front.application.set(application).is_ok());
        let (status, body) = ask(&front, "GET", "/health", "").await;
        assert_eq!((status, &body["status"], &body["reason"]), (503, &"failed".into(), &"disk".into()));
    }

    #[tokio::test]
    async fn further_fields_never_replace_the_contract() {
        let front = front(false);
        let fields = Fields::from_iter([
            ("dependencies".to_owned(), "x".into()),
            ("status".to_owned(), "mine".into()),
        ]);
        let application = Application::new(Router::new()).health(move || Condition::Ready(fields.clone()));
        assert!(front.application.set(application).is_ok());
        let (_, body) = ask(&front, "GET", "/health", "").await;
        assert_eq!((&body["status"], &body["dependencies"]), (&"ok".into(), &"x".into()));
    }

    #[tokio::test]
    async fn every_error_has_the_same_shape() {
        let front = front(true);
        let large = format!("{{\"items\":[{}1]}}", "1,".repeat(100));
        for (method, path, body, status, code, said) in [
            ("GET", "/nowhere", "", 404, "not_found", "/nowhere"),
            ("GET", "/count", "", 405, "method_not_allowed", "/count"),
            ("POST", "/health", "", 405, "method_not_allowed", "/health"),
            ("GET", "/panic", "", 500, "internal_error", "log"),
            ("POST", "/count", "{", 400, "invalid_json", "EOF"),
            ("POST", "/count", "{\"items\":[1,300]}", 400, "invalid_request", "items[1]"),
            ("POST", "/count", "{\"items\":[],\"x\":1}", 400, "invalid_request", "unknown field `x`"),
            ("POST", "/count", &large, 413, "payload_too_large", "smaller"),
        ] {
            let (answered, body) = ask(&front, method, path, body).await;
            let message = body["error"]["message"].as_str().unwrap_or_default();
            assert_eq!((answered, &body["error"]["code"]), (status, &code.into()), "{method} {path}");
            assert!(message.contains(said), "{method} {path}: {message}");
        }
        let bare = Request::post("/count").body(Body::from("{}")).expect("request");
        let (status, body) = answer(&front, bare).await;
        assert_eq!((status, &body["error"]["code"]), (415, &"unsupported_media_type".into()));
    }
}
