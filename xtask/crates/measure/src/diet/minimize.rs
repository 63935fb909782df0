//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002): which of many items must stay for
//! a test to pass. Independent of images.

use std::collections::{BTreeMap, BTreeSet};

/// What must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minimum<R> {
    /// The items that stay, by index. The test passes with them.
    pub kept: BTreeSet<usize>,
    /// Why each item stays: how the test failed without it and with all others in `kept`. Incomplete if the trials ran out.
    pub reasons: BTreeMap<usize, R>,
}

/// Tests the items that stay. Returns the reason if the test fails.
pub type KeepTest<'t, R, E> = &'t mut dyn FnMut(&BTreeSet<usize>) -> Result<Option<R>, E>;

/// Finds a minimal set of items: without any one of them, the test fails. `test` must pass with all of `0..items`. Each set is tested
/// once, at most `most` sets in total. If that is too few, the set is larger than necessary, but passes as well.
///
/// # Errors
/// Those of `test`.
pub fn minimize<R: Clone, E>(
    items: usize,
    most: &mut usize,
    test: KeepTest<'_, R, E>,
) -> Result<Minimum<R>, E> {
    let mut search = Search { known: BTreeMap::new(), most, test };
    let mut kept: BTreeSet<usize> = (0..items).collect();
    if search.passes(&BTreeSet::new())? {
        return Ok(Minimum { kept: BTreeSet::new(), reasons: BTreeMap::new() });
    }
    let mut parts = 2;
    while kept.len() > 1 {
        match search.smaller(&kept, parts)? {
            Some((smaller, next)) => (kept, parts) = (smaller, next),
            None if parts >= kept.len() => break,
            None => parts = (parts * 2).min(kept.len()),
        }
    }
    let reason = |item: &usize| {
        let mut without = kept.clone();
        without.remove(item);
        Some((*item, search.known.get(&without)?.clone()?))
    };
    let reasons = kept.iter().filter_map(reason).collect();
    Ok(Minimum { kept, reasons })
}

struct Search<'t, R, E> {
    known: BTreeMap<BTreeSet<usize>, Option<R>>,
    most: &'t mut usize,
    test: KeepTest<'t, R, E>,
}

impl<R: Clone, E> Search<'_, R, E> {
    /// Whether the test passes. `false` if unknown and the trials ran out.
    fn passes(&mut self, kept: &BTreeSet<usize>) -> Result<bool, E> {
        if let Some(known) = self.known.get(kept) {
            return Ok(known.is_none());
        }
        if *self.most == 0 {
            return Ok(false);
        }
        *self.most -= 1;
        let failure = (self.test)(kept)?;
        let passes = failure.is_none();
        self.known.insert(kept.clone(), failure);
        Ok(passes)
    }

    /// A part, or everything except one part, with which the test passes; and the number of parts to split it into.
    fn smaller(
        &mut self,
        kept: &BTreeSet<usize>,
        parts: usize,
    ) -> Result<Option<(BTreeSet<usize>, usize)>, E> {
        let split = split(kept, parts);
        // With two parts, each is the complement of the other.
        for part in split.iter().filter(|part| part.len() < kept.len() && parts > 2) {
            if self.passes(part)? {
                return Ok(Some((part.clone(), 2)));
            }
        }
        for part in &split {
            let rest: BTreeSet<usize> = kept.difference(part).copied().collect();
            if self.passes(&rest)? {
                let next = (parts - 1).max(2).min(rest.len().max(2));
                return Ok(Some((rest, next)));
            }
        }
        Ok(None)
    }
}

/// Splits a set into parts of about the same length.
fn split(items: &BTreeSet<usize>, parts: usize) -> Vec<BTreeSet<usize>> {
    let items: Vec<usize> = items.iter().copied().collect();
    let bound = |part: usize| part * items.len() / parts;
    (0..parts).map(|part| items[bound(part)..bound(part + 1)].iter().copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Minimizes under rules. Each rule is a list of items; at least one must stay. Also returns the number of trials.
    fn run(items: usize, rules: &[BTreeSet<usize>], most: usize) -> (Minimum<usize>, usize) {
        let mut left = most;
        let mut test = |kept: &BTreeSet<usize>| -> Result<Option<usize>, Infallible> {
            Ok(rules.iter().position(|rule| rule.is_disjoint(kept)))
        };
        let minimum = minimize(items, &mut left, &mut test).unwrap();
        (minimum, most - left)
    }

    fn rules(all: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        all.iter().map(|rule| rule.iter().copied().collect()).collect()
    }

    #[test]
    fn nothing_stays_if_nothing_is_needed() {
        let (minimum, trials) = run(40, &[], 100);
        assert_eq!((minimum.kept.len(), trials), (0, 1));
    }

    #[test]
    fn what_is_needed_stays_with_its_reason() {
        let (minimum, trials) = run(64, &rules(&[&[7], &[50]]), 1000);
        assert_eq!(minimum.kept, BTreeSet::from([7, 50]));
        assert_eq!(minimum.reasons, BTreeMap::from([(7, 0), (50, 1)]));
        assert!(trials < 64, "{trials} trials");
        let (one, trials) = run(100, &rules(&[&[99]]), 1000);
        assert_eq!(one.reasons, BTreeMap::from([(99, 0)]));
        assert!(trials <= 20, "{trials} trials");
    }

    proptest! {
        #[test]
        fn nothing_that_stays_could_go(
            items in 1..24_usize,
            rules in prop::collection::vec(prop::collection::btree_set(0..24_usize, 1..4), 0..5),
        ) {
            let rules: Vec<BTreeSet<usize>> = rules.into_iter()
                .map(|rule| rule.into_iter().map(|item| item % items).collect())
                .collect();
            let (minimum, trials) = run(items, &rules, usize::MAX);
            prop_assert!(rules.iter().all(|rule| !rule.is_disjoint(&minimum.kept)));
            for item in &minimum.kept {
                let without: BTreeSet<usize> = minimum.kept.iter().copied().filter(|other| other != item).collect();
                let failed = &rules[minimum.reasons[item]];
                prop_assert!(failed.is_disjoint(&without), "{item} could go, or its reason is another's");
            }
            prop_assert!(trials <= items * items + 3 * items + 1, "{} trials of {} items", trials, items);
        }

        #[test]
        fn few_trials_give_a_larger_set_that_passes(
            needed in prop::collection::btree_set(0..40_usize, 0..6),
            most in 0..60_usize,
        ) {
            let rules: Vec<BTreeSet<usize>> = needed.iter().map(|item| BTreeSet::from([*item])).collect();
            let (minimum, trials) = run(40, &rules, most);
            prop_assert!(trials <= most);
            prop_assert!(needed.is_subset(&minimum.kept));
        }
    }
}
