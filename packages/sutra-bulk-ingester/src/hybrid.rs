//! The client for hybrid: plain HTTP/1.1, one connection per call. Connecting takes little time compared to a batch, and a
//! new connection is never stale.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use sutra_service::{Address, Calls, REQUEST_ID};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use crate::excerpt::excerpt;
use crate::limits::HybridLimits;
use crate::presence::Presence;

/// Timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for `GET /health`.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum size of a response body, in bytes.
const MAX_RESPONSE: usize = 1 << 20;

/// The result of teaching a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LearnResult {
    /// Stored.
    Learned,
    /// Rejected because of one of the texts, for this reason.
    Rejected(String),
    /// Hybrid failed, possibly because of one of the texts.
    Failed(String),
    /// Temporarily unavailable, with the `Retry-After` of the response.
    Unavailable(String, Option<Duration>),
    /// No response in time, for this reason: hybrid hangs, there are too many texts, or one takes very long.
    TimedOut(String),
}

/// Learns texts; implemented by [`Hybrid`] and by test doubles.
pub(crate) trait Learner {
    /// Sends `body` to `POST /learn` and waits `patience` times the usual timeout.
    async fn learn(&self, body: Bytes, patience: u32) -> LearnResult;

    /// Whether hybrid answers at all.
    async fn is_up(&self) -> bool;
}

/// A client for hybrid.
#[derive(Debug, Clone)]
pub(crate) struct Hybrid {
    address: Address,
    timeout: Duration,
    presence: Arc<Presence>,
    calls: Calls,
    job: Option<Arc<JobCalls>>,
}

/// A job, and the number of calls for it since the start: their ids are `JOBID-1`, `JOBID-2` and so on.
#[derive(Debug)]
struct JobCalls {
    id: String,
    count: AtomicU64,
}

impl Learner for Hybrid {
    async fn learn(&self, body: Bytes, patience: u32) -> LearnResult {
        let (began, limit) = (Instant::now(), self.timeout.saturating_mul(patience));
        let request = self.send(Method::POST, "/learn", body);
        let outcome = timeout(limit, request).await;
        self.calls.record(began.elapsed(), failure(&outcome));
        match outcome {
            Err(_) => {
                self.presence.record(false);
                let times = if patience > 1 { format!("{patience} x ") } else { String::new() };
                LearnResult::TimedOut(format!(
                    "hybrid did not respond within {} s ({times}HYBRID_TIMEOUT_SECONDS)",
                    limit.as_secs()
                ))
            }
            Ok(Err(reason)) => {
                self.presence.record(false);
                LearnResult::Unavailable(reason, None)
            }
            Ok(Ok((status, headers, body))) => {
                let result = interpret(status, &headers, &body);
                if matches!(result, LearnResult::Learned | LearnResult::Rejected(_)) {
                    self.presence.record(true);
                }
                result
            }
        }
    }

    async fn is_up(&self) -> bool {
        self.health().await.is_some()
    }
}

impl Hybrid {
    /// A client that reports the outcome of its calls to `presence`.
    pub(crate) fn new(address: Address, timeout: Duration, presence: Arc<Presence>, calls: Calls) -> Self {
        Self { address, timeout, presence, calls, job: None }
    }

    /// The same client, for the calls of a job.
    pub(crate) fn for_job(&self, id: &str) -> Self {
        let job = JobCalls { id: id.to_owned(), count: AtomicU64::new(0) };
        Self { job: Some(Arc::new(job)), ..self.clone() }
    }

    /// Checks hybrid's health whenever `presence` asks for it; never returns.
    pub(crate) async fn watch(self) {
        loop {
            self.presence.requested().await;
            self.presence.record(matches!(self.health().await, Some((StatusCode::OK, _))));
        }
    }

    /// Hybrid's limits of a request; `None` if it does not respond, or shows none.
    pub(crate) async fn limits(&self) -> Option<HybridLimits> {
        #[derive(Deserialize)]
        struct Health {
            limits: HybridLimits,
        }
        let (_, body) = self.health().await?;
        Some(serde_json::from_slice::<Health>(&body).ok()?.limits)
    }

    /// The response of `GET /health`; `None` if there is none in time.
    async fn health(&self) -> Option<(StatusCode, Bytes)> {
        let health = timeout(HEALTH_TIMEOUT, self.send(Method::GET, "/health", Bytes::new())).await;
        let (status, _, body) = health.ok()?.ok()?;
        Some((status, body))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let Address { host, port, prefix, authority } = &self.address;
        let unreachable = |cause: &dyn std::fmt::Display| {
            format!("cannot reach hybrid at {host} port {port} ({cause}); start it or correct HYBRID_URL")
        };
        let broken = |error: &dyn Error| format!("the connection to hybrid failed ({})", chain(error));
        let stream = match timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => return Err(unreachable(&"connection timed out")),
        };
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header(HOST, authority)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        // A job's id is safe in a header.
        if let Some(id) = self.job.as_ref().and_then(|job| HeaderValue::from_str(&job.next_id()).ok()) {
            request.headers_mut().insert(REQUEST_ID, id);
        }
        let response = async {
            let (head, body) =
                sender.send_request(request).await.map_err(|error| broken(&error))?.into_parts();
            let body = Limited::new(body, MAX_RESPONSE)
                .collect()
                .await
                .map_err(|error| broken(error.as_ref()))?
                .to_bytes();
            Ok((head.status, head.headers, body))
        };
        // The connection must be polled for the response to arrive; dropping this future drops both.
        let mut connection = std::pin::pin!(connection);
        let mut response = std::pin::pin!(response);
        tokio::select! {
            response = &mut response => return response,
            _ = &mut connection => {}
        }
        // Read what had arrived before the connection closed.
        response.await
    }
}

impl JobCalls {
    fn next_id(&self) -> String {
        format!("{}-{}", self.id, self.count.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// The code of a failed call, for the metrics. A rejected text is not a failure of hybrid.
fn failure<T, U>(outcome: &Result<Result<(StatusCode, T, U), String>, Elapsed>) -> Option<&'static str> {
    match outcome {
        Err(_) => Some("hybrid_timeout"),
        Ok(Err(_)) => Some("hybrid_unreachable"),
        Ok(Ok((status, ..))) => match status.as_u16() {
            200..300 | 400 | 413 | 422 => None,
            503 => Some("hybrid_not_ready"),
            504 => Some("hybrid_timeout"),
            _ => Some("hybrid_failed"),
        },
    }
}

/// Interprets a response.
fn interpret(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> LearnResult {
    #[derive(Deserialize)]
    struct Learned {
        #[serde(rename = "learned")]
        _count: u64,
    }
    if status.is_success() {
        return match serde_json::from_slice::<Learned>(body) {
            Ok(_) => LearnResult::Learned,
            // Something other than hybrid may return 200; its texts would be lost.
            Err(_) => LearnResult::Unavailable(
                format!("POST /learn returned {} without \"learned\"; correct HYBRID_URL", status.as_u16()),
                None,
            ),
        };
    }
    let reason = format!("hybrid returned {}{}", status.as_u16(), error_text(body));
    match status.as_u16() {
        400 | 413 | 422 => LearnResult::Rejected(reason),
        // 507: storage is full, which is not about these texts.
        429 | 502 | 503 | 504 | 507 => {
            let retry_after =
                headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            LearnResult::Unavailable(reason, retry_after.map(Duration::from_secs))
        }
        500..600 => LearnResult::Failed(reason),
        // Not about the texts: a wrong address or a proxy.
        _ => LearnResult::Unavailable(format!("{reason}; correct HYBRID_URL"), None),
    }
}

/// Code and message of an error in the common format.
fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        error: ErrorFields,
    }
    #[derive(Deserialize)]
    struct ErrorFields {
        code: String,
        message: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(Body { error }) => format!(" {}: {}", excerpt(&error.code), excerpt(&error.message)),
        Err(_) => String::new(),
    }
}

/// An error and its causes.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_interpreted() {
        let error = br#"{"error":{"code":"too_long","message":"texts[0] is too long"}}"#;
        let interpret = |status: u16, headers: &HeaderMap, body: &[u8]| {
            interpret(StatusCode::from_u16(status).expect("a status"), headers, body)
        };
        let none = HeaderMap::new();
        assert_eq!(interpret(200, &none, br#"{"learned":0,"ids":["a"]}"#), LearnResult::Learned);
        for body in [&b"<html>"[..], b"{}", b"{\"learned\":\"1\"}", b""] {
            assert!(
                matches!(interpret(200, &none, body), LearnResult::Unavailable(reason, None) if reason.contains("HYBRID_URL"))
            );
        }
        for status in [400, 413, 422] {
            let expected = format!("hybrid returned {status} too_long: texts[0] is too long");
            assert_eq!(interpret(status, &none, error), LearnResult::Rejected(expected));
        }
        for status in [500, 501, 508] {
            assert!(matches!(interpret(status, &none, b"oops"), LearnResult::Failed(_)), "{status}");
        }
        for status in [301, 401, 403, 404, 405, 408, 429, 502, 503, 504, 507] {
            assert!(matches!(interpret(status, &none, b""), LearnResult::Unavailable(_, None)), "{status}");
        }
    }

    #[tokio::test]
    async fn a_text_gets_as_much_time_as_the_caller_has_patience() {
        // Accepts connections in its backlog, and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", silent.local_addr().expect("an address"));
        let address = Address::parse(&address).expect("an address");
        let usual = Duration::from_millis(10);
        let hybrid = Hybrid::new(address, usual, Arc::default(), Calls::to("hybrid"));
        for (patience, expected) in [(1, "(HYBRID_TIMEOUT_SECONDS)"), (8, "(8 x HYBRID_TIMEOUT_SECONDS)")] {
            let began = Instant::now();
            let result = hybrid.learn(Bytes::new(), patience).await;
            assert!(began.elapsed() >= usual * patience);
            assert!(
                matches!(&result, LearnResult::TimedOut(reason) if reason.contains(expected)),
                "{result:?}"
            );
        }
        drop(silent);
    }

    #[test]
    fn retry_after_is_read_as_seconds() {
        for (value, expected) in
            [("7", Some(7)), (" 0 ", Some(0)), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
        {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a header"))]);
            let result = interpret(StatusCode::SERVICE_UNAVAILABLE, &headers, b"");
            let LearnResult::Unavailable(_, delay) = result else { panic!("{result:?}") };
            assert_eq!(delay.map(|delay| delay.as_secs()), expected, "{value}");
        }
    }
}
