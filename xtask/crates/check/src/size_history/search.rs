//! Finds the commit that moved a size by measuring only some of the commits between two sizes.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use contents::difference::{Difference, minus};
use model::bytes::Bytes;

/// The commit that moved a size, found by building.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundStep {
    /// The candidate commits, oldest first: more than one only if commits in between do not build.
    pub commits: Vec<String>,
    /// The size before these commits, built today.
    pub before: Bytes,
    /// The size after.
    pub after: Bytes,
    /// The change over the whole range, built today: packages without a pinned version have today's size on both sides.
    pub whole: i64,
    /// The number of builds.
    pub builds: usize,
    /// Commits that do not build.
    pub skipped: Vec<NotBuilt>,
    /// What differs between the two images.
    pub difference: Option<Difference>,
}

/// A commit that does not build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotBuilt {
    /// The commit.
    pub commit: String,
    /// Why.
    pub why: String,
}

/// The part of a range that moved a size most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Narrowed {
    /// The last state before the move.
    pub(super) low: usize,
    /// The first state after the move; `low + 1` unless states in between do not build.
    pub(super) high: usize,
    /// The sizes of both.
    pub(super) sizes: [Bytes; 2],
    /// The change over the whole range.
    pub(super) whole: i64,
}

/// Measures states and caches the results; states with errors are skipped.
struct Measurements<'m, M> {
    measure: &'m mut M,
    known: BTreeMap<usize, Option<Bytes>>,
}

impl<M: FnMut(usize) -> Result<Option<Bytes>>> Measurements<'_, M> {
    fn of(&mut self, state: usize) -> Result<Option<Bytes>> {
        if let Some(known) = self.known.get(&state) {
            return Ok(*known);
        }
        let bytes = (self.measure)(state)?;
        self.known.insert(state, bytes);
        Ok(bytes)
    }

    /// The first of these states that can be measured.
    fn first(&mut self, states: impl Iterator<Item = usize>) -> Result<Option<(usize, Bytes)>> {
        for state in states {
            if let Some(bytes) = self.of(state)? {
                return Ok(Some((state, bytes)));
            }
        }
        Ok(None)
    }
}

/// Halves the states from 0 to `last`, always keeping the half that moved more, until one step is left: at most two measurements and
/// the binary logarithm of `last`, plus one for every state that cannot be measured (`None`). `None` if fewer than two can.
pub(super) fn narrow(
    last: usize,
    measure: &mut impl FnMut(usize) -> Result<Option<Bytes>>,
) -> Result<Option<Narrowed>> {
    let mut measured = Measurements { measure, known: BTreeMap::new() };
    let Some((mut low, mut before)) = measured.first(0..=last)? else { return Ok(None) };
    let Some((mut high, mut after)) = measured.first((low + 1..=last).rev())? else { return Ok(None) };
    let whole = minus(after, before);
    while whole != 0 && high - low > 1 {
        let Some((middle, bytes)) = measured.first(from_middle(low, high))? else { break };
        if minus(bytes, before).unsigned_abs() >= minus(after, bytes).unsigned_abs() {
            (high, after) = (middle, bytes);
        } else {
            (low, before) = (middle, bytes);
        }
    }
    Ok(Some(Narrowed { low, high, sizes: [before, after], whole }))
}

/// The states between two, the middle one first, then its neighbours.
fn from_middle(low: usize, high: usize) -> impl Iterator<Item = usize> {
    let middle = low + (high - low) / 2;
    let mut states: Vec<usize> = (low + 1..high).collect();
    states.sort_by_key(|state| state.abs_diff(middle));
    states.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Narrows these sizes; 0 does not build. Also returns the measured states.
    fn narrowed(sizes: &[u64]) -> (Option<Narrowed>, Vec<usize>) {
        let mut asked = Vec::new();
        let mut measure = |state: usize| {
            asked.push(state);
            Ok(Some(Bytes(sizes[state])).filter(|bytes| bytes.0 > 0))
        };
        (narrow(sizes.len() - 1, &mut measure).unwrap(), asked)
    }

    fn step(low: usize, high: usize, sizes: [u64; 2], whole: i64) -> Option<Narrowed> {
        Some(Narrowed { low, high, sizes: sizes.map(Bytes), whole })
    }

    #[test]
    fn a_single_step_is_found_in_logarithmic_time_wherever_it_is() {
        for at in 1..=1000 {
            let sizes: Vec<u64> = (0..=1000).map(|state| if state < at { 5 } else { 9 }).collect();
            let (found, asked) = narrowed(&sizes);
            assert_eq!(found, step(at - 1, at, [5, 9], 4));
            assert!(asked.len() <= 2 + 10, "{}", asked.len());
        }
    }

    #[test]
    fn states_that_do_not_build_are_passed_over() {
        assert_eq!(narrowed(&[5, 0, 0, 5, 0, 9, 9]).0, step(3, 5, [5, 9], 4));
        assert_eq!(narrowed(&[0, 5, 9, 0]).0, step(1, 2, [5, 9], 4));
        let (found, asked) = narrowed(&[5, 0, 0, 0, 9]);
        assert_eq!((found, asked.len()), (step(0, 4, [5, 9], 4), 5));
        assert_eq!(narrowed(&[0, 5, 0]).0, None);
        assert_eq!(narrowed(&[0, 0]).0, None);
    }

    #[test]
    fn of_two_steps_the_half_with_more_is_kept() {
        assert_eq!(narrowed(&[5, 6, 6, 6, 9]).0, step(3, 4, [6, 9], 4));
        assert_eq!(narrowed(&[9, 3, 3, 3, 2]).0, step(0, 1, [9, 3], -7));
    }

    #[test]
    fn without_a_change_only_both_ends_are_measured() {
        let (found, asked) = narrowed(&[5, 7, 9, 5]);
        assert_eq!((found, asked), (step(0, 3, [5, 5], 0), vec![0, 3]));
    }
}
