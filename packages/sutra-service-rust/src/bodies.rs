//! Request bodies in memory: a bounded number of bytes in all, counted as they arrive.
//!
//! A client that stops in the middle of a body holds memory. If others need it, the body that has waited longest for its
//! client is given up.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use http_body_util::{BodyExt as _, LengthLimitError};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::ApiError;

/// How long a client may pause within a body.
const PAUSE: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// The bodies of the request that the task handles: what was made of them is in memory until the end.
    pub(crate) static HELD: RefCell<Vec<Share>>;
}

/// The bodies of all requests.
#[derive(Debug)]
pub(crate) struct Bodies {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Bodies that are still arriving; the one that has waited longest for its client is first.
    arriving: Vec<Arriving>,
    next: u64,
}

#[derive(Debug)]
struct Arriving {
    number: u64,
    bytes: usize,
    give_up: Arc<Notify>,
}

/// What a body takes of the limit, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    bodies: Arc<Bodies>,
    number: u64,
    /// Bytes of a body that has arrived.
    bytes: usize,
    give_up: Arc<Notify>,
}

impl Bodies {
    /// `limit` is in bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    fn start(self: &Arc<Self>) -> Share {
        let mut state = self.lock();
        let (number, give_up) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.arriving.push(Arriving { number, bytes: 0, give_up: give_up.clone() });
        Share { bodies: self.clone(), number, bytes: 0, give_up }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Adds to the size of this body. Returns false if the limit does not allow it.
    fn add(&self, bytes: usize) -> bool {
        let mut state = self.bodies.lock();
        while state.used + bytes > self.bodies.limit {
            let Some(place) = state.arriving.iter().position(|other| other.number != self.number) else {
                return false;
            };
            let given_up = state.arriving.remove(place);
            state.used -= given_up.bytes;
            given_up.give_up.notify_one();
        }
        let Some(place) = state.arriving.iter().position(|arriving| arriving.number == self.number) else {
            return false;
        };
        let mut arriving = state.arriving.remove(place);
        arriving.bytes += bytes;
        state.arriving.push(arriving);
        state.used += bytes;
        true
    }

    /// Marks the body as complete, so that it is not dropped for others. `None` if it already was.
    fn finish(mut self) -> Option<Self> {
        let mut state = self.bodies.lock();
        let place = state.arriving.iter().position(|arriving| arriving.number == self.number)?;
        let bytes = state.arriving.remove(place).bytes;
        drop(state);
        self.bytes = bytes;
        Some(self)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.bodies.lock();
        state.used -= self.bytes;
        if let Some(place) = state.arriving.iter().position(|arriving| arriving.number == self.number) {
            let arriving = state.arriving.remove(place);
            state.used -= arriving.bytes;
        }
    }
}

/// Reads the body. Its bytes count until the task has answered the request.
pub(crate) async fn read(bodies: &Arc<Bodies>, body: Body) -> Result<Bytes, ApiError> {
    let share = bodies.start();
    let read = collect(&share, body);
    let bytes = tokio::select! {
        bytes = read => bytes?,
        () = share.give_up.notified() => return Err(too_many()),
    };
    let share = share.finish().ok_or_else(too_many)?;
    // Outside of a request's task, as in tests, there is nothing to wait for.
    let _ = HELD.try_with(|held| held.borrow_mut().push(share));
    Ok(bytes)
}

async fn collect(share: &Share, mut body: Body) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(PAUSE, body.frame()).await.map_err(|_| paused())?;
        let Some(frame) = frame else { return Ok(bytes.into()) };
        let Ok(data) = frame.map_err(|error| unreadable(&error))?.into_data() else { continue };
        if !share.add(data.len()) {
            return Err(too_many());
        }
        bytes.extend_from_slice(&data);
    }
}

fn paused() -> ApiError {
    let message = format!("no data received for {} s; send the request again", PAUSE.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", message)
}

fn too_many() -> ApiError {
    ApiError::unavailable("too many large requests at once; send the request again in a second")
}

fn unreadable(error: &axum::Error) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<LengthLimitError>() {
            return ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                "the request body is too large; send smaller batches",
            );
        }
        cause = error.source();
    }
    ApiError::new(StatusCode::BAD_REQUEST, "unreadable_body", format!("cannot read the body: {error}"))
}

/// The bodies of the service that handles a request.
pub(crate) fn of(request: &Request) -> Arc<Bodies> {
    request.extensions().get().cloned().unwrap_or_else(|| Arc::new(Bodies::new(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(bodies: &Bodies) -> usize {
        bodies.lock().used
    }

    #[test]
    fn the_body_that_waited_longest_makes_room() {
        let bodies = Arc::new(Bodies::new(100));
        let (first, second, third) = (bodies.start(), bodies.start(), bodies.start());
        assert!(first.add(40) && second.add(40) && first.add(10));
        assert!(third.add(30));
        assert_eq!(used(&bodies), 80);
        assert!(second.finish().is_none());
        assert!(!first.add(71));
        assert_eq!(used(&bodies), 50);
        drop((first, third));
        assert_eq!(used(&bodies), 0);
    }

    #[test]
    fn a_complete_body_counts_until_it_is_dropped() {
        let bodies = Arc::new(Bodies::new(100));
        let first = bodies.start();
        assert!(first.add(60));
        let first = first.finish();
        assert_eq!(first.as_ref().map(|share| share.bytes), Some(60));
        let second = bodies.start();
        assert!(!second.add(41) && second.add(40));
        drop(first);
        assert!(second.add(60));
    }

    #[tokio::test]
    async fn a_body_that_is_given_up_is_an_error() {
        let bodies = Arc::new(Bodies::new(10));
        let (sender, stalled) = http_body_util::channel::Channel::<Bytes, axum::Error>::new(1);
        let mut sender = sender;
        sender.send_data(Bytes::from_static(b"12345678")).await.expect("send");
        let reading = tokio::spawn({
            let bodies = bodies.clone();
            async move { read(&bodies, Body::new(stalled)).await }
        });
        while used(&bodies) < 8 {
            tokio::task::yield_now().await;
        }
        assert_eq!(read(&bodies, Body::from("123")).await.expect("room"), "123");
        let error = reading.await.expect("no panic").expect_err("given up");
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(used(&bodies), 0);
        let error = read(&bodies, Body::from("12345678901")).await.expect_err("too large");
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
