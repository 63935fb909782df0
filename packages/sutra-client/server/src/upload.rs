//! Streams the body of a forwarded request, up to a limit.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::download::Pause;

/// How long a client may pause within a body.
const PAUSE: Duration = Duration::from_secs(10);

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Upload {
    /// `None` once it has ended or was rejected.
    body: Option<Body>,
    /// Bytes that may still arrive; `None` for no limit.
    left: Option<u64>,
    pause: Pause,
    progress: Arc<Progress>,
}

/// The progress of a body.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Debug)]
struct State {
    last: Instant,
    fault: Option<StatusCode>,
}

impl Progress {
    /// When the last bytes arrived.
    pub(crate) fn last(&self) -> Instant {
        self.lock().last
    }

    /// The status to return if the body is at fault.
    pub(crate) fn fault(&self) -> Option<StatusCode> {
        self.lock().fault
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Limits a body to this number of bytes.
    pub(crate) fn new(body: Body, limit: Option<u64>) -> (Self, Arc<Progress>) {
        let state = State { last: Instant::now(), fault: None };
        let progress = Arc::new(Progress(Mutex::new(state)));
        let upload =
            Self { body: Some(body), left: limit, pause: Pause::new(PAUSE), progress: progress.clone() };
        (upload, progress)
    }

    fn fail(&mut self, status: StatusCode, kind: ErrorKind) -> Error {
        self.progress.lock().fault = Some(status);
        Error::from(kind)
    }
}

impl hyper::body::Body for Upload {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if this.pause.is_over(polled.is_pending(), context) {
            // Read nothing more from this client.
            this.body = None;
            return Poll::Ready(Some(Err(this.fail(StatusCode::REQUEST_TIMEOUT, ErrorKind::TimedOut))));
        }
        let Poll::Ready(frame) = polled else { return Poll::Pending };
        this.progress.lock().last = Instant::now();
        match frame {
            None => {
                this.body = None;
                Poll::Ready(None)
            }
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                if let Some(left) = this.left {
                    let Some(left) = left.checked_sub(bytes) else {
                        let error = this.fail(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::FileTooLarge);
                        return Poll::Ready(Some(Err(error)));
                    };
                    this.left = Some(left);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            // The client disconnected, or its body is malformed.
            Some(Err(_)) => {
                this.body = None;
                Poll::Ready(Some(Err(this.fail(StatusCode::BAD_REQUEST, ErrorKind::InvalidData))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Upload {
    /// The api service may respond before it has read the whole body; the response must reach a client that is still sending.
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream())
            && Handle::try_current().is_ok()
        {
            sutra_service::discard(body);
        }
    }
}
