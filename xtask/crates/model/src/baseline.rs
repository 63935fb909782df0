//! Baselines: what an image weighed when somebody last said yes to it, and how far it may drift from that.
//!
//! The row in the lock is the anchor. A drift within the step limit changes nothing in the lock, so that it is measured
//! against the same row the next time, however many small steps it was made of; only `check --accept` with a reason moves it.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// An image's unpacked bytes, those of our own bases apart: a base that grows is one change and not eight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// Layers that the service's own Dockerfile made.
    pub own: Bytes,
    /// Layers of images that it starts from.
    pub base: Bytes,
}

impl Weights {
    /// The whole image.
    pub fn sum(self) -> Bytes {
        self.own + self.base
    }
}

/// How far a weight may be from its baseline: a share of it or some bytes, whichever is more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Percent of the baseline.
    pub percent: f64,
    /// Bytes.
    pub bytes: Bytes,
}

impl Default for Step {
    /// One percent or 1 MB: rebuilding on patched packages moves less, and a dependency more.
    fn default() -> Step {
        Step { percent: 1.0, bytes: Bytes(1_000_000) }
    }
}

/// How a weight stands to its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// Within the step limit, either way.
    Within,
    /// Beyond it.
    Grown,
    /// Beyond it, and smaller. Accepting it keeps it from growing back unseen.
    Shrunk,
}

impl Step {
    /// The most that a weight with this baseline may differ from it.
    pub fn allowed(&self, baseline: Bytes) -> Bytes {
        // Whole bytes, rounded down: a limit is never more than it says.
        let share = (baseline.0 as f64 * self.percent / 100.0).floor() as u64;
        Bytes(share.max(self.bytes.0))
    }

    /// Judges a weight.
    pub fn judge(&self, now: Bytes, baseline: Bytes) -> Drift {
        let allowed = self.allowed(baseline);
        if now - baseline > allowed {
            Drift::Grown
        } else if baseline - now > allowed {
            Drift::Shrunk
        } else {
            Drift::Within
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_share_and_bytes_is_the_limit() {
        let step = Step::default();
        assert_eq!(step.allowed(Bytes(10_000_000)), Bytes(1_000_000));
        assert_eq!(step.allowed(Bytes(200_000_000)), Bytes(2_000_000));
        assert_eq!(step.judge(Bytes(11_000_000), Bytes(10_000_000)), Drift::Within);
        assert_eq!(step.judge(Bytes(11_000_001), Bytes(10_000_000)), Drift::Grown);
        assert_eq!(step.judge(Bytes(9_000_000), Bytes(10_000_000)), Drift::Within);
        assert_eq!(step.judge(Bytes(8_999_999), Bytes(10_000_000)), Drift::Shrunk);
    }

    #[test]
    fn small_steps_come_to_a_breach_since_the_anchor_stays() {
        let (step, anchor) = (Step::default(), Bytes(40_000_000));
        let weights = (1..=3).map(|steps| Bytes(anchor.0 + steps * 400_000));
        let drifts: Vec<Drift> = weights.map(|now| step.judge(now, anchor)).collect();
        assert_eq!(drifts, [Drift::Within, Drift::Within, Drift::Grown]);
    }
}
