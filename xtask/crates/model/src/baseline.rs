//! Baselines: the accepted size of an image, and how far it may drift.
//!
//! Drift within the step limit does not change the lock, so small steps add up until they exceed the limit. Only
//! `check --accept` changes a baseline.

use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// An image's unpacked bytes. Base layers are counted separately: a base that grows is one change, not one per service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// Layers of the service's own Dockerfile.
    pub own: Bytes,
    /// Layers of the base images.
    pub base: Bytes,
}

impl Weights {
    /// The whole image.
    pub fn sum(self) -> Bytes {
        self.own + self.base
    }
}

/// How far a size may drift from its baseline: a percentage or a number of bytes, whichever is more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepLimit {
    /// Percent of the baseline.
    pub percent: f64,
    /// Bytes.
    pub bytes: Bytes,
}

impl Default for StepLimit {
    /// 1 % or 1 MB: more than a rebuild with patched packages, less than a new dependency.
    fn default() -> StepLimit {
        StepLimit { percent: 1.0, bytes: Bytes(1_000_000) }
    }
}

/// A size compared with its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// Within the step limit.
    Within,
    /// Larger by more than the step limit.
    Grown,
    /// Smaller by more than the step limit. Accepting it keeps it from growing back unnoticed.
    Shrunk,
}

impl StepLimit {
    /// The largest allowed difference from a baseline.
    pub fn allowed(&self, baseline: Bytes) -> Bytes {
        // Rounded down: never more than the stated percentage.
        let share = (baseline.0 as f64 * self.percent / 100.0).floor() as u64;
        Bytes(share.max(self.bytes.0))
    }

    /// Compares a size with its baseline.
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
    fn the_larger_of_percentage_and_bytes_is_the_limit() {
        let limit = StepLimit::default();
        assert_eq!(limit.allowed(Bytes(10_000_000)), Bytes(1_000_000));
        assert_eq!(limit.allowed(Bytes(200_000_000)), Bytes(2_000_000));
        assert_eq!(limit.judge(Bytes(11_000_000), Bytes(10_000_000)), Drift::Within);
        assert_eq!(limit.judge(Bytes(11_000_001), Bytes(10_000_000)), Drift::Grown);
        assert_eq!(limit.judge(Bytes(9_000_000), Bytes(10_000_000)), Drift::Within);
        assert_eq!(limit.judge(Bytes(8_999_999), Bytes(10_000_000)), Drift::Shrunk);
    }

    #[test]
    fn small_steps_add_up_to_a_breach() {
        let (limit, baseline) = (StepLimit::default(), Bytes(40_000_000));
        let weights = (1..=3).map(|steps| Bytes(baseline.0 + steps * 400_000));
        let drifts: Vec<Drift> = weights.map(|now| limit.judge(now, baseline)).collect();
        assert_eq!(drifts, [Drift::Within, Drift::Within, Drift::Grown]);
    }
}
