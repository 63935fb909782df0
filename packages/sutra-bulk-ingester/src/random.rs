//! Random numbers without a dependency.

use std::hash::{BuildHasher as _, RandomState};

/// 64 random bits, for jitter and ids. Not cryptographically secure.
pub(crate) fn bits() -> u64 {
    // The standard library seeds `RandomState` from the operating system.
    RandomState::new().hash_one(())
}
