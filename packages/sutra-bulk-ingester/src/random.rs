//! A little chance, without a library for it.

use std::hash::{BuildHasher as _, RandomState};

/// 64 bits that differ from call to call and from process to process. Good for jitter and for names; no secret.
pub(crate) fn bits() -> u64 {
    // The standard library seeds each `RandomState` from the system's own source.
    RandomState::new().hash_one(())
}
