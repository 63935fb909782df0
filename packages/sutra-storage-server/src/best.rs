//! The best of many.

use std::cmp::Ordering;

/// The `limit` highest scores that were offered; of equal ones those with the lowest items.
#[derive(Debug)]
pub(crate) struct Best<T> {
    limit: usize,
    kept: Vec<(f32, T)>,
    /// Lower scores cannot be among the best.
    floor: f32,
}

impl<T: Ord> Best<T> {
    /// `limit` is at least 1.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), floor: f32::NEG_INFINITY }
    }

    pub(crate) fn offer(&mut self, score: f32, item: T) {
        if score < self.floor {
            return;
        }
        self.kept.push((score, item));
        if self.kept.len() == 2 * self.limit {
            self.shrink();
        }
    }

    /// Adds what another one kept.
    pub(crate) fn merge(&mut self, other: Self) {
        other.kept.into_iter().for_each(|(score, item)| self.offer(score, item));
    }

    /// The items, unordered.
    pub(crate) fn into_items(mut self) -> impl Iterator<Item = T> {
        self.shrink();
        self.kept.into_iter().map(|(_, item)| item)
    }

    fn shrink(&mut self) {
        if self.kept.len() <= self.limit {
            return;
        }
        let (_, &mut (floor, _), _) = self.kept.select_nth_unstable_by(self.limit - 1, order);
        self.kept.truncate(self.limit);
        self.floor = floor;
    }
}

fn order<T: Ord>(a: &(f32, T), b: &(f32, T)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1))
}
