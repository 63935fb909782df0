//! How often a push is tried, and how long it waits between.

use std::time::Duration;

use engine::push::PushError;

/// Tries in all.
pub const TRIES: u32 = 5;

/// The pause after a failed try: 1, 2, 4, 8 s. `None` when another try is of no use.
///
/// A registry's `Retry-After` is not heeded: docker does not show it.
pub fn pause(error: &PushError, tries: u32) -> Option<Duration> {
    let again = error.is_transient() && tries < TRIES;
    again.then(|| Duration::from_secs(1 << tries.saturating_sub(1).min(6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<u64> = (1..=TRIES)
            .map_while(|tries| pause(&PushError::new("toomanyrequests"), tries))
            .map(|pause| pause.as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8]);
        assert_eq!(pause(&PushError::new("unauthorized"), 1), None);
    }
}
