//! Whether another service responds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long an observation is valid before a new check is requested.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The last observation of another service.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    last: Mutex<Option<(Instant, bool)>>,
    request: Notify,
}

impl Presence {
    /// `ok`, `unreachable` or `unknown`, from memory. Requests a new check if the last one is too old.
    pub(crate) fn state(&self) -> &'static str {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|(seen, _)| seen.elapsed() >= MAX_AGE) {
            self.request.notify_one();
        }
        match last {
            None => "unknown",
            Some((_, true)) => "ok",
            Some((_, false)) => "unreachable",
        }
    }

    /// Records an observation.
    pub(crate) fn record(&self, is_up: bool) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), is_up));
    }

    /// Waits until a new check is requested.
    pub(crate) async fn requested(&self) {
        self.request.notified().await;
    }
}
