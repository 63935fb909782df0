//! Calls to hybrid: plain HTTP/1.1, a connection a call. A call that carries a batch takes far longer than a connection
//! between neighbours, and one that is never reused is never found closed.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::presence::Presence;
use crate::records::brief;

/// For a connection: between neighbours it is there at once or not at all.
const CONNECT: Duration = Duration::from_secs(5);

/// For a look at `/health`.
const LOOK: Duration = Duration::from_secs(2);

/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// What came of teaching some texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// They are kept.
    Learned,
    /// A text is to blame; says what for.
    Refused(String),
    /// Hybrid failed, perhaps at one of the texts.
    Fault(String),
    /// Not now. Perhaps with the pause that hybrid asks for.
    Later(String, Option<Duration>),
}

/// Somebody who learns.
pub(crate) trait Learner {
    /// Teaches texts; `body` is what `POST /learn` takes.
    async fn learn(&self, body: String) -> Answer;
}

/// The service that learns.
#[derive(Debug, Clone)]
pub(crate) struct Hybrid {
    address: Address,
    timeout: Duration,
    presence: Arc<Presence>,
}

impl Learner for Hybrid {
    async fn learn(&self, body: String) -> Answer {
        let exchange = self.exchange(Method::POST, "/learn", Bytes::from(body));
        match timeout(self.timeout, exchange).await {
            Err(_) => {
                self.presence.saw(false);
                let seconds = self.timeout.as_secs();
                Answer::Later(
                    format!("hybrid did not answer within {seconds} s (HYBRID_TIMEOUT_SECONDS)"),
                    None,
                )
            }
            Ok(Err(reason)) => {
                self.presence.saw(false);
                Answer::Later(reason, None)
            }
            Ok(Ok((status, headers, body))) => {
                let answer = judge(status, &headers, &body);
                if matches!(answer, Answer::Learned | Answer::Refused(_)) {
                    self.presence.saw(true);
                }
                answer
            }
        }
    }
}

impl Hybrid {
    /// Hybrid at an address; what its calls show goes to `presence`.
    pub(crate) fn new(address: Address, timeout: Duration, presence: Arc<Presence>) -> Self {
        Self { address, timeout, presence }
    }

    /// Looks whether hybrid is there whenever somebody wants to know; never ends.
    pub(crate) async fn keep_looking(self) {
        loop {
            self.presence.asked().await;
            let look = timeout(LOOK, self.exchange(Method::GET, "/health", Bytes::new())).await;
            self.presence.saw(matches!(look, Ok(Ok((StatusCode::OK, _, _)))));
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let Address { host, port, prefix, authority } = &self.address;
        let unreachable = |what: &dyn std::fmt::Display| {
            format!("hybrid cannot be reached at {host} port {port} ({what}); start it or correct HYBRID_URL")
        };
        let broke_off = |error: &dyn Error| format!("hybrid broke off the exchange ({})", chain(error));
        let stream = match timeout(CONNECT, TcpStream::connect((host.as_str(), *port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(unreachable(&error)),
            Err(_) => return Err(unreachable(&"no connection in time")),
        };
        // The request leaves in one piece or in few; waiting for more to send only costs time.
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke_off(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(format!("{prefix}{path}"))
            .header(HOST, authority)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .header(CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let answer = async {
            let (head, body) =
                sender.send_request(request).await.map_err(|error| broke_off(&error))?.into_parts();
            let body = Limited::new(body, MAX_ANSWER)
                .collect()
                .await
                .map_err(|error| broke_off(error.as_ref()))?
                .to_bytes();
            Ok((head.status, head.headers, body))
        };
        // The connection moves the bytes while the answer waits for them; both end together when this is dropped.
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection => {}
        }
        // What had arrived when the connection ended is still to be read.
        answer.await
    }
}

/// What an answer means.
fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    #[derive(Deserialize)]
    struct Learned {
        #[serde(rename = "learned")]
        _count: u64,
    }
    if status.is_success() {
        return match serde_json::from_slice::<Learned>(body) {
            Ok(_) => Answer::Learned,
            // Anything may answer 200 to anything; texts must not get lost in it.
            Err(_) => Answer::Later(
                format!("{} answered POST /learn without \"learned\"; correct HYBRID_URL", status.as_u16()),
                None,
            ),
        };
    }
    let said = format!("hybrid answered {}{}", status.as_u16(), words(body));
    match status.as_u16() {
        400 | 413 | 422 => Answer::Refused(said),
        429 | 502 | 503 | 504 => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Answer::Later(said, asked.map(Duration::from_secs))
        }
        500..600 => Answer::Fault(said),
        // Nothing that is about these texts: a wrong address, a door in between.
        _ => Answer::Later(format!("{said}; correct HYBRID_URL"), None),
    }
}

/// The words of an error in the shape that all services share.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Said {
        error: Words,
    }
    #[derive(Deserialize)]
    struct Words {
        code: String,
        message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(Said { error }) => format!(" {}: {}", brief(&error.code), brief(&error.message)),
        Err(_) => String::new(),
    }
}

/// An error with its causes.
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
    fn answers_are_told_apart() {
        let said = br#"{"error":{"code":"too_long","message":"texts[0] is too long"}}"#;
        let judge = |status: u16, headers: &HeaderMap, body: &[u8]| {
            judge(StatusCode::from_u16(status).expect("a status"), headers, body)
        };
        let none = HeaderMap::new();
        assert_eq!(judge(200, &none, br#"{"learned":0,"ids":["a"]}"#), Answer::Learned);
        for body in [&b"<html>"[..], b"{}", b"{\"learned\":\"1\"}", b""] {
            assert!(
                matches!(judge(200, &none, body), Answer::Later(why, None) if why.contains("HYBRID_URL"))
            );
        }
        for status in [400, 413, 422] {
            let expected = format!("hybrid answered {status} too_long: texts[0] is too long");
            assert_eq!(judge(status, &none, said), Answer::Refused(expected));
        }
        for status in [500, 501, 507] {
            assert!(matches!(judge(status, &none, b"oops"), Answer::Fault(_)), "{status}");
        }
        for status in [301, 401, 403, 404, 405, 408, 429, 502, 503, 504] {
            assert!(matches!(judge(status, &none, b""), Answer::Later(_, None)), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds() {
        for (value, expected) in
            [("7", Some(7)), (" 0 ", Some(0)), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
        {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().expect("a header"))]);
            let answer = judge(StatusCode::SERVICE_UNAVAILABLE, &headers, b"");
            let Answer::Later(_, asked) = answer else { panic!("{answer:?}") };
            assert_eq!(asked.map(|asked| asked.as_secs()), expected, "{value}");
        }
    }
}
