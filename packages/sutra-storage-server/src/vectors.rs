//! All vectors in memory, in 8 bits, searched exhaustively.
//!
//! A search finds candidates; the caller compares them exactly. Searches that arrive while one is running are answered
//! together by the next one, which reads the memory once for all of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use crate::quantized::{Query, quantize};
use crate::rows::Rows;
use crate::view::View;

/// Maximum number of searches that share one pass.
const SHARED_SEARCHES: usize = 16;

/// Candidates besides those that are wanted: their errors may put this many before them. Those of a few numbers do not
/// cancel out.
fn spare(dimension: usize) -> usize {
    10 + 2000 / dimension
}

/// The vectors.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    rows: RwLock<Rows>,
    waiting: Mutex<Vec<Arc<Waiting>>>,
    running: Mutex<()>,
}

/// A search that waits for its answer.
#[derive(Debug)]
struct Waiting {
    query: Query,
    limit: usize,
    answer: OnceLock<Vec<String>>,
}

/// The new state of an id.
#[derive(Debug)]
pub(crate) struct VectorChange {
    pub id: String,
    /// Codes and scale; `None` to remove the vector.
    pub row: Option<(Vec<u8>, f32)>,
}

impl VectorChange {
    /// A change that stores `vector`, or removes it if it is `None`.
    pub(crate) fn new(id: &str, vector: Option<&[f32]>) -> Self {
        Self { id: id.to_owned(), row: vector.map(quantize) }
    }
}

impl Vectors {
    /// The ids whose vectors are nearest to `query`, which must have the dimension of the stored vectors; unordered. With
    /// some tolerance for the error of 8 bits, the `limit` nearest ones are among them. Blocks.
    pub(crate) fn candidates(&self, query: &[f32], limit: usize) -> Vec<String> {
        let waiting = Arc::new(Waiting {
            query: Query::new(query),
            limit: limit + spare(query.len()),
            answer: OnceLock::new(),
        });
        lock(&self.waiting).push(waiting.clone());
        let running = lock(&self.running);
        if waiting.answer.get().is_none() {
            let mut together: Vec<_> = {
                let mut all = lock(&self.waiting);
                let count = all.len().min(SHARED_SEARCHES);
                all.drain(..count).collect()
            };
            if !together.iter().any(|search| Arc::ptr_eq(search, &waiting)) {
                lock(&self.waiting).retain(|search| !Arc::ptr_eq(search, &waiting));
                together.push(waiting.clone());
            }
            let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
            let wanted: Vec<_> = together.iter().map(|search| (&search.query, search.limit)).collect();
            for (search, answer) in together.iter().zip(rows.search(&wanted)) {
                // Only the search that runs answers others.
                let _ = search.answer.set(answer);
            }
        }
        drop(running);
        waiting.answer.get().cloned().unwrap_or_default()
    }

    /// Applies changes; searches see all of them or none.
    pub(crate) fn change(&self, changes: &[VectorChange]) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for VectorChange { id, row } in changes {
            match row {
                Some((codes, scale)) => rows.put(id, codes, *scale),
                None => rows.remove(id),
            }
        }
    }

    /// Removes all.
    pub(crate) fn clear(&self) {
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = Rows::default();
    }

    /// Replaces all vectors by those of the store.
    pub(crate) fn load(&self, view: &View) -> Result<(), redb::Error> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        // First, because there may be no room for both.
        *rows = Rows::default();
        // Newest first, so that there are never more rows than vectors.
        let mut removed = HashSet::new();
        view.each_code(|id, row| match row {
            _ if rows.place(id).is_some() || removed.contains(id) => {}
            Some((codes, scale)) => rows.put(id, codes, scale),
            None => drop(removed.insert(id.to_owned())),
        })
    }

    /// Whether the id has this vector.
    pub(crate) fn has(&self, id: &str, codes: &[u8], scale: f32) -> bool {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).has(id, codes, scale)
    }

    /// Memory in bytes: in use, and in use once these ids with vectors of `dimension` numbers are stored too.
    pub(crate) fn bytes_with<'a>(
        &self,
        ids: impl Iterator<Item = &'a str>,
        dimension: usize,
    ) -> (usize, usize) {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let added: Vec<usize> = ids.filter(|id| rows.place(id).is_none()).map(str::len).collect();
        let now = rows.bytes(rows.dimension, 0, 0);
        (now, rows.bytes(rows.dimension.max(dimension), added.len(), added.iter().sum()))
    }

    /// Number of vectors.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.rows.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantized::cosine;
    use std::collections::BTreeMap;

    fn put(vectors: &Vectors, id: &str, vector: &[f32]) {
        vectors.change(&[VectorChange::new(id, Some(vector))]);
    }

    fn sorted(mut ids: Vec<String>) -> Vec<String> {
        ids.sort();
        ids
    }

    #[test]
    fn the_nearest_are_among_the_candidates() {
        let mut state = 1_u32;
        let mut random = |dimension| -> Vec<f32> {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from((state >> 16) as u16) - 32767.5
            };
            (0..dimension).map(|_| next()).collect()
        };
        for dimension in [2, 10, 63, 64, 100, 384] {
            let vectors = Vectors::default();
            let plain: Vec<(String, Vec<f32>)> =
                (0..1_500).map(|n| (n.to_string(), random(dimension))).collect();
            plain.iter().for_each(|(id, vector)| put(&vectors, id, vector));
            for _ in 0..10 {
                let query = random(dimension);
                let mut exact: Vec<_> =
                    plain.iter().map(|(id, vector)| (cosine(&query, vector), id)).collect();
                exact.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
                let found = vectors.candidates(&query, 10);
                assert!(found.len() < 1_100, "{} candidates", found.len());
                for (_, id) in &exact[..10] {
                    assert!(found.contains(id), "{id} of {dimension} numbers");
                }
            }
        }
    }

    #[test]
    fn of_equal_vectors_those_with_the_lowest_ids_are_candidates() {
        let vectors = Vectors::default();
        for number in (0..100).rev() {
            put(&vectors, &format!("{number:02}"), &[1.0; 100]);
        }
        let expected: Vec<String> = (0..31).map(|number| format!("{number:02}")).collect();
        assert_eq!(sorted(vectors.candidates(&[2.0; 100], 1)), expected);
    }

    /// Compares with a plain map, across the borders of chunks.
    #[test]
    fn random_puts_and_removals_agree_with_a_plain_map() {
        let vectors = Vectors::default();
        let mut plain = BTreeMap::new();
        let mut state = 1_u32;
        for step in 0..60_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = format!("{:05}", state >> 8 & 0x3fff);
            // First more puts, then more removals, so that chunks are added and removed.
            if state >> 24 & 7 < if step < 30_000 { 6 } else { 2 } {
                let vector =
                    [f32::from((state >> 3 & 255) as u8) - 127.5, 1.0, f32::from((state >> 11 & 255) as u8)];
                put(&vectors, &id, &vector);
                plain.insert(id, vector);
            } else {
                vectors.change(&[VectorChange::new(&id, None)]);
                plain.remove(&id);
            }
            if step % 10_000 == 0 || step == 59_999 {
                assert_eq!(vectors.len(), plain.len());
                let query = [1.0, 2.0, 3.0];
                let all: Vec<String> = plain.keys().cloned().collect();
                assert_eq!(sorted(vectors.candidates(&query, 20_000)), all, "after step {step}");
                let best = plain.values().map(|vector| cosine(&query, vector)).fold(-1.0, f32::max);
                let nearest = plain.iter().filter(|(_, vector)| cosine(&query, &vector[..]) >= best);
                let found = vectors.candidates(&query, 7);
                for (id, _) in nearest.take(7) {
                    assert!(found.contains(id), "{id} after step {step}");
                }
            }
        }
    }

    #[test]
    fn searches_at_once_get_their_own_answers() {
        let vectors = Vectors::default();
        for number in 0..90_u8 {
            let angle = f32::from(number).to_radians();
            put(&vectors, &number.to_string(), &[angle.cos(), angle.sin()]);
        }
        std::thread::scope(|scope| {
            for number in 0..90_u8 {
                let vectors = &vectors;
                scope.spawn(move || {
                    let angle = f32::from(number).to_radians();
                    let found = vectors.candidates(&[angle.cos(), angle.sin()], 1);
                    assert!(found.contains(&number.to_string()), "{number}: {found:?}");
                });
            }
        });
    }

    #[test]
    fn updates_take_no_memory_and_removals_give_it_back() {
        let vectors = Vectors::default();
        let bytes = || vectors.bytes_with([].into_iter(), 0).0;
        let empty = bytes();
        let fill = || (0..10_000).for_each(|number| put(&vectors, &number.to_string(), &[1.0; 8]));
        fill();
        let full = bytes();
        fill();
        assert_eq!(bytes(), full);
        assert_eq!(vectors.bytes_with(["1", "2"].into_iter(), 8), (full, full));
        let (_, with_more) = vectors.bytes_with(["a", "b"].into_iter(), 8);
        assert!(with_more > full);
        (0..10_000).for_each(|number| vectors.change(&[VectorChange::new(&number.to_string(), None)]));
        assert_eq!(bytes(), empty);
    }
}
