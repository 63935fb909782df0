//! The best of many.

use std::cmp::Ordering;

/// The `limit` highest scores that were offered; of equal ones those with the lowest ids.
#[derive(Debug)]
pub(crate) struct Best<'a> {
    limit: usize,
    kept: Vec<(f32, &'a str)>,
    /// Lower scores cannot be among the best.
    floor: f32,
}

impl<'a> Best<'a> {
    /// `limit` is at least 1.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), floor: f32::NEG_INFINITY }
    }

    pub(crate) fn offer(&mut self, score: f32, id: &'a str) {
        if score < self.floor {
            return;
        }
        self.kept.push((score, id));
        if self.kept.len() == 2 * self.limit {
            self.shrink();
        }
    }

    /// Adds what another one kept.
    pub(crate) fn merge(&mut self, other: Self) {
        other.kept.into_iter().for_each(|(score, id)| self.offer(score, id));
    }

    /// The ids, unordered.
    pub(crate) fn into_ids(mut self) -> impl Iterator<Item = &'a str> {
        self.shrink();
        self.kept.into_iter().map(|(_, id)| id)
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

fn order(a: &(f32, &str), b: &(f32, &str)) -> Ordering {
    b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1))
}
