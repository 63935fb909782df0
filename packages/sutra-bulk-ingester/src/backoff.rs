//! Delays between retries.

use std::time::Duration;

use crate::random;

/// The longest `Retry-After` that is honoured.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Exponential backoff with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Delay before the second attempt.
    pub first: Duration,
    /// Maximum delay.
    pub longest: Duration,
}

impl Backoff {
    /// The delay after `failures` failed attempts: half fixed, half random, so that clients do not retry in step. Not
    /// shorter than `retry_after`, which is capped at five minutes.
    pub(crate) fn delay(&self, failures: u32, retry_after: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        // 16 random bits are enough; the division keeps the result at or below `full`.
        let jitter = u32::try_from(random::bits() & 0xFFFF).unwrap_or_default();
        let delay = half + half * jitter / 0xFFFF;
        delay.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), longest: Duration::from_millis(1000) };

    #[test]
    fn delays_double_up_to_the_maximum() {
        for (failures, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (4_000_000_000, 1000)] {
            for _ in 0..100 {
                let delay = BACKOFF.delay(failures, None).as_millis();
                assert!((full / 2..=full).contains(&delay), "after {failures}: {delay}");
            }
        }
    }

    #[test]
    fn delays_are_random() {
        let delays: std::collections::BTreeSet<_> = (0..20).map(|_| BACKOFF.delay(5, None)).collect();
        assert!(delays.len() > 1);
    }

    #[test]
    fn retry_after_is_honoured_up_to_the_maximum() {
        assert_eq!(BACKOFF.delay(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(BACKOFF.delay(1, Some(Duration::from_secs(1_000_000))), MAX_RETRY_AFTER);
        assert!(BACKOFF.delay(5, Some(Duration::from_millis(1))) >= BACKOFF.longest / 2);
    }
}
