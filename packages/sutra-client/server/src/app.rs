//! Handles requests: serves the page's files and the health check, and forwards the rest to the api service.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::from_fn;
use axum::response::Response;
use sutra_service::{discard, has_valid_host, identify};

use crate::access::Access;
use crate::api::{Api, Patience};
use crate::errors::error;
use crate::names::Names;
use crate::path::{Route, normalize, route};
use crate::settings::Settings;
use crate::site::{INDEX, Site};
use crate::upload::Upload;
use crate::{files, headers};

/// Maximum size of a body, except for files. The api service has its own, lower limit with its own error.
const MAX_BODY: u64 = 16 << 20;

/// Maximum length of path and query, in bytes.
const MAX_TARGET: usize = 8 << 10;

/// Longer than any deadline of the api service (120 s for teaching by default), because its own errors say more. The page waits
/// slightly longer.
const USUAL: Patience = Patience { connect: Duration::from_secs(3), read: Duration::from_secs(135) };

/// For the health check of the api service.
const SHORT: Patience = Patience { connect: Duration::from_secs(2), read: Duration::from_secs(5) };

/// State shared by all requests.
#[derive(Debug)]
pub(crate) struct App {
    site: Site,
    api: Api,
}

/// A response and what the access log needs.
struct Answer {
    response: Response,
    /// The status that the api service returned, if the request was forwarded.
    upstream: Option<StatusCode>,
    /// The path that was served; the page's path if no file matches.
    path: String,
}

impl App {
    pub(crate) fn new(settings: Settings, site: Site) -> Self {
        Self { site, api: Api::new(settings.api, Names::new(settings.resolver)) }
    }

    pub(crate) fn into_router(self) -> Router {
        Router::new().fallback(handle).layer(from_fn(identify)).with_state(Arc::new(self))
    }

    async fn answer(&self, request: Request, client: IpAddr) -> Answer {
        let path = normalize(request.uri().path());
        let refusal = refusal(&request, path.as_deref());
        let path = path.unwrap_or_else(|| request.uri().path().to_owned());
        let own = |response, path| Answer { response, upstream: None, path };
        if let Some(status) = refusal {
            discard(request.into_body());
            return own(closing(error(status)), path);
        }
        let (head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let (target, limit, patience) = match route(&path) {
            Route::Api => (target.as_str(), Some(MAX_BODY), USUAL),
            Route::Files => (target.as_str(), None, USUAL),
            Route::ApiHealth => ("/health", Some(MAX_BODY), SHORT),
            own_route => {
                discard(body);
                let (response, path) = self.own(own_route, path, &head);
                return own(response, path);
            }
        };
        let upload = Upload::new(body, limit);
        match self.api.forward(&head, target, upload, client, patience).await {
            Ok(mut response) => {
                response.extensions_mut().insert(headers::Forwarded);
                let upstream = Some(response.status());
                Answer { response, upstream, path }
            }
            Err(failure) => {
                let status = failure.status;
                // Other errors are the client's fault.
                if status.is_server_error() {
                    log::error!("{} {path}: {}", head.method, failure.reason);
                }
                let upstream = (status != StatusCode::INTERNAL_SERVER_ERROR).then_some(status);
                let response = error(status);
                // The rest of the client's body may still arrive.
                let response = if status.is_client_error() { closing(response) } else { response };
                Answer { response, upstream, path }
            }
        }
    }

    /// A response of this server itself, and the path that was served.
    fn own(&self, route: Route, path: String, head: &Parts) -> (Response, String) {
        let found = match route {
            Route::Health => Some((self.site.health(), path.clone())),
            Route::None => None,
            _ => match self.site.file(&path) {
                Some(file) => Some((file, path.clone())),
                None if route == Route::Page => self.site.file(INDEX).map(|file| (file, INDEX.to_owned())),
                None => None,
            },
        };
        match found {
            Some((file, path)) => (files::answer(file, head), path),
            None => (error(StatusCode::NOT_FOUND), path),
        }
    }
}

async fn handle(
    State(app): State<Arc<App>>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let access = Access::new(&request, client.ip(), request.uri().path());
    let Answer { mut response, upstream, path } = app.answer(request, client.ip()).await;
    headers::add(&mut response, &path);
    access.finish(response, upstream, &path)
}

/// Closes the connection after a response, as nginx does when the client may keep sending an unread body.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The status of requests that are refused on every route.
fn refusal(request: &Request, path: Option<&str>) -> Option<StatusCode> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > MAX_TARGET {
        return Some(StatusCode::URI_TOO_LONG);
    }
    // TRACE could reveal headers that are hidden from scripts; neither method is needed.
    if [Method::TRACE, Method::CONNECT].contains(request.method()) {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(path) = path.filter(|_| has_valid_host(request)) else { return Some(StatusCode::BAD_REQUEST) };
    let is_too_large = length(request.headers()).is_some_and(|length| length > MAX_BODY);
    (is_too_large && route(path) != Route::Files).then_some(StatusCode::PAYLOAD_TOO_LARGE)
}

/// The value of `Content-Length`. hyper has checked that it is a number.
fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn status(request: axum::http::request::Builder) -> Option<u16> {
        let request = request.header("host", "page.example").body(Body::empty()).expect("a request");
        refusal(&request, normalize(request.uri().path()).as_deref()).map(|status| status.as_u16())
    }

    #[test]
    fn requests_are_refused_before_they_are_routed() {
        let long = format!("/api/x?{}", "a".repeat(MAX_TARGET));
        for (method, target, length, expected) in [
            ("GET", "/", "0", None),
            ("POST", "/api/x", "16777216", None),
            ("POST", "/api/x", "16777217", Some(413)),
            ("POST", "/api/jobs", "99999999999", None),
            ("GET", "/", "16777217", Some(413)),
            ("GET", "/..", "0", Some(400)),
            ("GET", long.as_str(), "0", Some(414)),
            ("TRACE", "/api/x", "0", Some(405)),
        ] {
            let request = Request::builder().method(method).uri(target).header("content-length", length);
            assert_eq!(status(request), expected, "{method} {target}");
        }
        assert_eq!(status(Request::builder().uri("/").header("host", "b")), Some(400));
    }
}
