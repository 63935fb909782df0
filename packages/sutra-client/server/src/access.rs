//! The access log: one line per request, with the fields that nginx logs.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::USER_AGENT;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use serde_json::{Map, Value};

/// The status that nginx logs if the client disconnects before the response.
const CLIENT_GONE: u16 = 499;

/// A request. Logged when dropped: after the last byte of the response, or when the client disconnects.
#[derive(Debug)]
pub(crate) struct Access {
    began: Instant,
    client: IpAddr,
    method: String,
    path: String,
    user_agent: String,
    id: String,
    status: u16,
    upstream: Option<StatusCode>,
    bytes: u64,
}

impl Access {
    /// Only `path` is logged: the query may contain user input.
    pub(crate) fn new(request: &Request, client: IpAddr, path: &str) -> Self {
        let user_agent = request.headers().get(USER_AGENT).map(|value| value.as_bytes());
        Self {
            began: Instant::now(),
            client,
            method: request.method().to_string(),
            path: path.to_owned(),
            user_agent: String::from_utf8_lossy(user_agent.unwrap_or_default()).into_owned(),
            id: sutra_service::current_id().map(|id| id.to_string()).unwrap_or_default(),
            status: CLIENT_GONE,
            upstream: None,
            bytes: 0,
        }
    }

    /// Wraps the response's body to count its bytes and log the request at the end.
    pub(crate) fn finish(mut self, response: Response, upstream: Option<StatusCode>, path: &str) -> Response {
        self.status = response.status().as_u16();
        self.upstream = upstream;
        path.clone_into(&mut self.path);
        response.map(|body| Body::new(Counted { body, access: self }))
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        // Successful health checks are not logged.
        if self.path == "/health" && self.status == 200 {
            return;
        }
        let level = match self.status {
            400..500 => "warning",
            500.. => "error",
            _ => "info",
        };
        let milliseconds = u32::try_from(self.began.elapsed().as_millis()).unwrap_or(u32::MAX);
        let upstream = self.upstream.map(|status| status.as_u16().to_string()).unwrap_or_default();
        let fields: [(&str, Value); 9] = [
            ("level", level.into()),
            ("message", format!("{} {}", self.method, self.path).into()),
            ("status", self.status.into()),
            ("bytes", self.bytes.into()),
            ("seconds", (f64::from(milliseconds) / 1000.0).into()),
            ("upstream_status", upstream.into()),
            ("request_id", std::mem::take(&mut self.id).into()),
            ("client", self.client.to_string().into()),
            ("user_agent", std::mem::take(&mut self.user_agent).into()),
        ];
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        sutra_service::print_line(crate::NAME, fields);
    }
}

struct Counted {
    body: Body,
    access: Access,
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.access.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
