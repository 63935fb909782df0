//! Streams the body of the api service's response.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

/// The body of a response, and its connection.
#[derive(Debug)]
pub(crate) struct Download {
    body: Incoming,
    pause: Pause,
    _connection: Connection,
}

/// The task that drives a connection. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Connection(pub JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Download {
    /// The body fails if nothing arrives for `pause`.
    pub(crate) fn new(body: Incoming, pause: Duration, connection: Connection) -> Self {
        Self { body, pause: Pause::new(pause), _connection: connection }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if self.pause.is_over(polled.is_pending(), context) {
            log::error!("the api service paused within an answer; the connection was closed");
            return Poll::Ready(Some(Err(Error::from(ErrorKind::TimedOut).into())));
        }
        polled.map_err(|error| {
            log::error!("the connection to the api service ended within an answer: {error}");
            error.into()
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Timeout between two parts of a body. Runs only while the body is pending.
#[derive(Debug)]
pub(crate) struct Pause {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pause {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Whether the timeout has expired. Call it after each poll of the body.
    pub(crate) fn is_over(&mut self, is_pending: bool, context: &mut Context<'_>) -> bool {
        if !is_pending {
            self.timer = None;
            return false;
        }
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(context).is_ready()
    }
}
