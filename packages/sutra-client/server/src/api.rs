//! The client for the api service: plain HTTP/1.1, one connection per request, as in nginx. A new connection is never stale.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sutra_service::Address;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_io_timeout::TimeoutStream;

use crate::download::{Connection, Download};
use crate::names::Names;
use crate::upload::{Progress, Upload};
use crate::wire;

/// How long the api service may stop reading a request body.
const WRITE_TIME: Duration = Duration::from_secs(60);

/// Maximum bytes of a response's head, and of a body's buffered part.
const BUFFER_BYTES: usize = 16 << 10;

/// Timeouts of the api service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For connecting to one of its addresses.
    pub connect: Duration,
    /// For the response's head, and for each part of its body.
    pub read: Duration,
}

/// The api service.
#[derive(Debug)]
pub(crate) struct Api {
    address: Result<(Address, HeaderValue), String>,
    names: Names,
}

/// Why a request failed. The reason is for the log.
#[derive(Debug)]
pub(crate) struct Failure {
    pub status: StatusCode,
    pub reason: String,
}

impl Failure {
    fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl Api {
    pub(crate) fn new(address: Result<Address, String>, names: Names) -> Self {
        let address = address.and_then(|address| {
            let host = HeaderValue::from_str(&address.authority).map_err(|error| error.to_string())?;
            Ok((address, host))
        });
        if let Err(reason) = &address {
            log::error!("{reason}; requests to /api/ fail");
        }
        Self { address, names }
    }

    /// Sends a request to this path and query. Returns the response as soon as its head has arrived.
    pub(crate) async fn forward(
        &self,
        request: &Parts,
        target: &str,
        (upload, progress): (Upload, Arc<Progress>),
        client: IpAddr,
        patience: Patience,
    ) -> Result<Response, Failure> {
        let (address, host) = self
            .address
            .as_ref()
            .map_err(|reason| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, reason))?;
        let uri: Uri = format!("{}{target}", address.prefix)
            .parse()
            .map_err(|error| Failure::new(StatusCode::BAD_REQUEST, format!("invalid target: {error}")))?;
        let mut forwarded = Request::new(upload);
        *forwarded.method_mut() = request.method.clone();
        *forwarded.uri_mut() = uri;
        *forwarded.headers_mut() = wire::of_request(&request.headers, host, client);

        let stream = self.connect(address, patience.connect).await?;
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIME));
        let handshake =
            http1::Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(Box::pin(stream))).await;
        let (mut sender, connection) =
            handshake.map_err(|error| Failure::new(StatusCode::BAD_GATEWAY, error.to_string()))?;
        // Connection errors also fail the request or the response body.
        let connection = Connection(tokio::spawn(async move {
            let _ = connection.await;
        }));

        let mut sent = std::pin::pin!(sender.send_request(forwarded));
        let answer = loop {
            let deadline = progress.last() + patience.read;
            tokio::select! {
                sent = &mut sent => break sent.map_err(|error| failure(&error, &progress))?,
                () = sleep_until(deadline) => if progress.last() + patience.read <= Instant::now() {
                    let reason = format!("no answer within {} s", patience.read.as_secs());
                    return Err(Failure::new(StatusCode::GATEWAY_TIMEOUT, reason));
                }
            }
        };
        Ok(passed_on(answer, patience, connection))
    }

    /// Tries all addresses: a service may have several containers, each with its own.
    async fn connect(&self, address: &Address, limit: Duration) -> Result<TcpStream, Failure> {
        let Address { host, port, .. } = address;
        let bad_gateway = |reason: String| Failure::new(StatusCode::BAD_GATEWAY, reason);
        let addresses = self
            .names
            .addresses(host)
            .await
            .map_err(|reason| bad_gateway(format!("cannot resolve {host:?}: {reason}")))?;
        let mut failure = bad_gateway(format!("{host:?} has no address"));
        for ip in addresses {
            let address = SocketAddr::new(ip, *port);
            failure = match timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => bad_gateway(format!("cannot connect to {address}: {error}")),
                Err(_) => Failure::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    format!("cannot connect to {address} within {} s", limit.as_secs()),
                ),
            };
        }
        Err(failure)
    }
}

fn failure(error: &hyper::Error, progress: &Progress) -> Failure {
    let status = progress.fault().unwrap_or_else(|| {
        if is_timeout(error) { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY }
    });
    Failure::new(status, chain(error))
}

fn is_timeout(error: &(dyn std::error::Error + 'static)) -> bool {
    let is_it = error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
    is_it || error.source().is_some_and(is_timeout)
}

/// An error and its causes.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

fn passed_on(answer: hyper::Response<Incoming>, patience: Patience, connection: Connection) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = Response::new(Body::new(Download::new(body, patience.read, connection)));
    *response.status_mut() = head.status;
    *response.headers_mut() = wire::of_answer(&head.headers);
    response
}
