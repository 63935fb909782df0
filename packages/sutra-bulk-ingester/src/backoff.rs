//! Pauses between tries.

use std::time::Duration;

use crate::random;

/// The longest pause that another service may ask for by `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// Pauses that double from `first` to `longest`, with jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    /// Before the second try.
    pub first: Duration,
    /// However many tries there were.
    pub longest: Duration,
}

impl Backoff {
    /// The pause after `tries` failed ones: half of it fixed, half of it chance, so that several clients do not come
    /// back together. Never shorter than what the other side asked for, within five minutes.
    pub(crate) fn pause(&self, tries: u32, asked: Option<Duration>) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        let half = full / 2;
        // 16 bits of chance suffice; the division keeps the result at or below `full`.
        let chance = u32::try_from(random::bits() & 0xFFFF).unwrap_or_default();
        let pause = half + half * chance / 0xFFFF;
        pause.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), longest: Duration::from_millis(1000) };

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (tries, full) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (4_000_000_000, 1000)] {
            for _ in 0..100 {
                let pause = BACKOFF.pause(tries, None).as_millis();
                assert!((full / 2..=full).contains(&pause), "after {tries}: {pause}");
            }
        }
    }

    #[test]
    fn pauses_differ() {
        let pauses: std::collections::BTreeSet<_> = (0..20).map(|_| BACKOFF.pause(5, None)).collect();
        assert!(pauses.len() > 1);
    }

    #[test]
    fn what_the_other_side_asks_for_is_honoured_within_reason() {
        assert_eq!(BACKOFF.pause(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(BACKOFF.pause(1, Some(Duration::from_secs(1_000_000))), LONGEST_ASKED);
        assert!(BACKOFF.pause(5, Some(Duration::from_millis(1))) >= BACKOFF.longest / 2);
    }
}
