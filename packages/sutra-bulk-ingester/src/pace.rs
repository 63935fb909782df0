//! How slow an upload may be. It holds a place in the queue, which a slow client must not keep from others.

use std::time::Duration;

use tokio::time::{Instant, timeout};

/// The pace of an upload. Only the time that the service waits for the client counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Maximum time without data. An upload has twice this time in addition to that for its bytes.
    idle: Duration,
    /// Minimum rate, in bytes a second.
    rate: u64,
    bytes: u64,
    waited: Duration,
}

/// Why an upload is too slow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TooSlow {
    /// No data for this time.
    Stalled(Duration),
    /// Less than this rate, in bytes a second.
    Slow(u64),
}

impl Pace {
    /// The pace of an upload that has not begun. `rate` is in bytes a second and not 0.
    pub(crate) fn new(idle: Duration, rate: u64) -> Self {
        Self { idle, rate, bytes: 0, waited: Duration::ZERO }
    }

    /// Waits for more data.
    pub(crate) async fn next<T>(&mut self, data: impl Future<Output = T>) -> Result<T, TooSlow> {
        let began = Instant::now();
        let found = timeout(self.idle.min(self.left()), data).await;
        self.waited += began.elapsed();
        found.map_err(|_| self.problem())
    }

    /// Counts received bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The time that is left for waiting.
    fn left(&self) -> Duration {
        let for_bytes = Duration::from_millis(self.bytes.saturating_mul(1000) / self.rate);
        (2 * self.idle).saturating_add(for_bytes).saturating_sub(self.waited)
    }

    fn problem(&self) -> TooSlow {
        if self.left().is_zero() { TooSlow::Slow(self.rate) } else { TooSlow::Stalled(self.idle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// The time left after receiving `bytes` in `seconds` of waiting.
    fn left(bytes: u64, seconds: u64) -> u64 {
        Pace { bytes, waited: Duration::from_secs(seconds), ..Pace::new(IDLE, 1000) }.left().as_secs()
    }

    #[test]
    fn an_upload_has_time_for_its_bytes() {
        assert_eq!((left(0, 0), left(0, 119), left(0, 121)), (120, 1, 0));
        // As fast as it must be, slower, and faster.
        assert_eq!((left(100_000, 100), left(50_000, 100), left(200_000, 100)), (120, 70, 220));
        assert!(left(1 << 50, u64::from(u32::MAX)) > 1 << 30);
    }

    #[tokio::test]
    async fn a_stalled_upload_and_a_slow_one_are_told_apart() {
        let idle = Duration::from_millis(20);
        let mut stalled = Pace::new(idle, 1);
        stalled.add(1000);
        assert_eq!(stalled.next(std::future::pending::<()>()).await, Err(TooSlow::Stalled(idle)));
        let mut slow = Pace::new(idle, 1000);
        slow.add(5);
        slow.waited = Duration::from_secs(1);
        assert_eq!(slow.next(std::future::pending::<()>()).await, Err(TooSlow::Slow(1000)));
        assert_eq!(Pace::new(IDLE, 1).next(async { 7 }).await, Ok(7));
    }
}
