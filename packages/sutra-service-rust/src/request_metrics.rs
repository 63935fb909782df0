//! Counts and times requests.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::metrics::histogram;

/// For what clients choose freely: unknown paths and methods.
const OTHER: &str = "other";

type Label = (&'static str, Cow<'static, str>);

/// The metrics of requests. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct RequestMetrics {
    requests: Family<[Label; 3], Counter>,
    seconds: Family<[Label; 1], Histogram, fn() -> Histogram>,
    running: Gauge,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        Self { requests: Family::default(), seconds, running: Gauge::default() }
    }
}

impl RequestMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("sutra_http_requests", "Answered requests", self.requests.clone());
        let about = "Time from a request to its answer";
        registry.register("sutra_http_request_seconds", about, self.seconds.clone());
        let about = "Requests in progress";
        registry.register("sutra_http_requests_in_progress", about, self.running.clone());
    }
}

/// The template of the route that a request took, for [`measure`]. The application's routes are below those of
/// [`crate::routes`], which cannot see them.
#[derive(Debug, Clone, Default)]
struct Route(Arc<OnceLock<String>>);

/// Makes the routes of a router known to [`measure`].
pub(crate) fn with_route_names(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        let (route, path) = (request.extensions().get::<Route>(), request.extensions().get::<MatchedPath>());
        if let (Some(route), Some(path)) = (route, path) {
            let _ = route.0.set(path.as_str().to_owned());
        }
        next.run(request).await
    }))
}

/// Counts and times a request.
pub(crate) async fn measure(
    State(metrics): State<RequestMetrics>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let route = Route::default();
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        let _ = route.0.set(path.as_str().to_owned());
    }
    request.extensions_mut().insert(route.clone());
    let method = known(request.method());
    let running = Running::new(&metrics.running);
    let response = next.run(request).await;
    drop(running);
    let route: Cow<'static, str> = route.0.get().map_or(OTHER.into(), |path| path.clone().into());
    metrics.seconds.get_or_create(&[("route", route.clone())]).observe(began.elapsed().as_secs_f64());
    let status = response.status().as_str().to_owned();
    let labels = [("method", method.into()), ("route", route), ("status", status.into())];
    metrics.requests.get_or_create(&labels).inc();
    response
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

/// Counts a running request, also if its client goes away.
struct Running<'a>(&'a Gauge);

impl<'a> Running<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
