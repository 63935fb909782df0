//! Retries requests after temporary failures.

use std::time::Duration;

use anyhow::{Error, Result};
use host::failure::{FailureClass, class_of};
use host::wait;

use super::RegistryClient;

/// How many times in a row a request may fail.
pub(super) const TRIES: u32 = 5;

impl RegistryClient {
    /// Retries while the registry fails, at most [`TRIES`] times.
    pub(super) fn patiently<T>(&self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            let error = match work() {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            tries += 1;
            self.pause_after(error, tries)?;
        }
    }

    /// Waits before the next try: 1, 2, 4 and 8 s, or five times as long if the registry limits requests.
    ///
    /// # Errors
    /// The given error, if a retry is pointless; or when the user interrupts.
    pub(super) fn pause_after(&self, error: Error, tries: u32) -> Result<()> {
        let first = match class_of(&error) {
            FailureClass::Network => self.pause,
            FailureClass::RateLimit => self.pause * 5,
            _ => return Err(error),
        };
        if tries >= TRIES {
            return Err(error);
        }
        Ok(wait::pause(first * (1 << (tries - 1)), &self.runner.interrupt)?)
    }
}

/// The first pause.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
