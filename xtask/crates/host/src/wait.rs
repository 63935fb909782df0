//! Waiting that ends at a deadline, or when the user interrupts.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// An interrupt is noticed within this time.
const TICK: Duration = Duration::from_millis(50);

/// Pauses between the rounds of [`until_gone`], and how many there are.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: u32 = 30;

/// The end of a wait, at most `LONGEST` from now: options accept any number of seconds, which could overflow the clock.
pub fn after(time: Duration) -> Instant {
    Instant::now() + time.min(LONGEST)
}

/// Ten years.
const LONGEST: Duration = Duration::from_hours(87_600);

/// Waits for this long.
///
/// # Errors
/// When the user interrupts.
pub fn pause(time: Duration, interrupt: &Interrupt) -> Result<(), Failure> {
    let end = after(time);
    loop {
        interrupt.check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}

/// Calls `look`, with a pause between two calls, until it returns a value; `None` when it has none by the deadline.
///
/// # Errors
/// Those of `look`, and when the user interrupts.
pub fn poll<T>(
    every: Duration,
    timeout: Duration,
    interrupt: &Interrupt,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = after(timeout);
    loop {
        interrupt.check()?;
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        pause(every.min(left), interrupt)?;
    }
}

/// Calls `remove` until it finds nothing twice in a row: a client that was interrupted may have asked the engine for something
/// that appears only after a removal. An interrupt does not end this, since it cleans up.
///
/// # Errors
/// When something cannot be removed, or new things keep appearing.
pub fn until_gone(what: &str, mut remove: impl FnMut() -> Result<bool>) -> Result<()> {
    let (mut quiet, mut failed) = (0, None);
    for _ in 0..ROUNDS {
        match remove() {
            Ok(false) => (quiet, failed) = (quiet + 1, None),
            Ok(true) => (quiet, failed) = (0, None),
            Err(error) => (quiet, failed) = (0, Some(error)),
        }
        if quiet == 2 {
            return Ok(());
        }
        std::thread::sleep(ROUND);
    }
    match failed {
        Some(error) => Err(error.context(format!("cannot remove all of {what}"))),
        None => bail!("cannot remove all of {what}: new resources keep appearing while it is removed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn polling_ends_with_a_value_or_at_the_deadline() {
        let (interrupt, mut calls) = (Interrupt::default(), 0);
        let third = poll(SHORT, Duration::from_secs(60), &interrupt, || {
            calls += 1;
            Ok((calls == 3).then_some(calls))
        });
        assert_eq!(third.unwrap(), Some(3));
        assert_eq!(poll(SHORT, SHORT * 3, &interrupt, || Ok(None::<()>)).unwrap(), None);
    }

    #[test]
    fn an_interrupt_ends_a_wait() {
        let interrupt = Interrupt::default();
        interrupt.set();
        assert_eq!(pause(Duration::from_secs(60), &interrupt), Err(Failure::interrupted()));
    }

    #[test]
    fn a_removal_is_over_after_two_rounds_that_found_nothing() {
        let mut rounds = [true, false, true, false, false].into_iter();
        until_gone("x", || Ok(rounds.next().unwrap())).unwrap();
        assert_eq!(rounds.next(), None);
    }
}
