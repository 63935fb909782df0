//! Whether another service answers, as far as is known.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// After this the last word is old, and whoever asks causes a new look.
const FRESH: Duration = Duration::from_secs(10);

/// What was last seen of another service.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    last: Mutex<Option<(Instant, bool)>>,
    asked: Notify,
}

impl Presence {
    /// `ok`, `unreachable` or `unknown`; answers at once.
    pub(crate) fn state(&self) -> &'static str {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|(seen, _)| seen.elapsed() >= FRESH) {
            self.asked.notify_one();
        }
        match last {
            None => "unknown",
            Some((_, true)) => "ok",
            Some((_, false)) => "unreachable",
        }
    }

    /// Notes what was seen.
    pub(crate) fn saw(&self, answers: bool) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answers));
    }

    /// Waits until a new look is wanted.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }
}
