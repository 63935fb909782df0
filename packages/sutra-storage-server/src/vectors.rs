//! All vectors in memory: contiguous 32-bit floats, normalized to length 1, searched exhaustively.
//!
//! Rows are stored in blocks that snapshots share. The writer copies a block before changing it and then publishes a new
//! list of blocks, so searches and writes never wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Rows per block: few enough to copy a block cheaply, enough to keep the list of blocks short.
const BLOCK_ROWS: usize = 256;

#[derive(Debug, Clone, Default)]
struct Block {
    ids: Vec<Arc<str>>,
    numbers: Vec<f32>,
}

/// The state between two writes that searches see.
type Snapshot = Arc<Vec<Arc<Block>>>;

/// The vectors for readers.
#[derive(Debug, Default)]
pub(crate) struct Vectors {
    published: RwLock<Snapshot>,
}

impl Vectors {
    /// The `limit` nearest ids with their cosine similarity, highest first; ties are ordered by id. `query` must have the
    /// dimension of the stored vectors.
    pub(crate) fn nearest(&self, query: &[f32], limit: usize) -> Vec<(String, f32)> {
        let query = normalized(query);
        let blocks = self.published.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut best: Vec<(f32, &Arc<str>)> = Vec::with_capacity(2 * limit);
        let order =
            |a: &(f32, &Arc<str>), b: &(f32, &Arc<str>)| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1));
        for block in blocks.iter() {
            for (id, row) in block.ids.iter().zip(block.numbers.chunks_exact(query.len())) {
                best.push((dot(&query, row), id));
                if best.len() == 2 * limit {
                    best.select_nth_unstable_by(limit, order);
                    best.truncate(limit);
                }
            }
        }
        best.sort_unstable_by(order);
        best.truncate(limit);
        best.into_iter().map(|(cosine, id)| (id.to_string(), cosine.clamp(-1.0, 1.0))).collect()
    }

    /// Number of published vectors.
    #[cfg(test)]
    fn len(&self) -> usize {
        let blocks = self.published.read().unwrap_or_else(PoisonError::into_inner).clone();
        blocks.iter().map(|block| block.ids.len()).sum()
    }
}

/// The vectors for the writer thread.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    blocks: Snapshot,
    rows: HashMap<Arc<str>, usize>,
}

impl Editor {
    /// Adds or replaces a vector; visible after [`Editor::publish`].
    pub(crate) fn put(&mut self, id: &str, vector: &[f32]) {
        let vector = normalized(vector);
        if let Some(&row) = self.rows.get(id) {
            let start = row % BLOCK_ROWS * vector.len();
            self.block(row).numbers[start..start + vector.len()].copy_from_slice(&vector);
            return;
        }
        let (id, row): (Arc<str>, _) = (id.into(), self.rows.len());
        if row.is_multiple_of(BLOCK_ROWS) {
            Arc::make_mut(&mut self.blocks).push(Arc::default());
        }
        let block = self.block(row);
        block.ids.push(id.clone());
        block.numbers.extend_from_slice(&vector);
        self.rows.insert(id, row);
    }

    /// Removes a vector, if present; the last row takes its place.
    pub(crate) fn remove(&mut self, id: &str) {
        let Some(row) = self.rows.remove(id) else { return };
        let last = self.rows.len();
        let block = self.block(last);
        let dimension = block.numbers.len() / block.ids.len();
        let moved = block.numbers.split_off(block.numbers.len() - dimension);
        let moved_id = block.ids.pop();
        if block.ids.is_empty() {
            Arc::make_mut(&mut self.blocks).pop();
        }
        if let Some(moved_id) = moved_id.filter(|_| row != last) {
            let (place, start) = (row % BLOCK_ROWS, row % BLOCK_ROWS * dimension);
            let block = self.block(row);
            block.ids[place] = moved_id.clone();
            block.numbers[start..start + dimension].copy_from_slice(&moved);
            self.rows.insert(moved_id, row);
        }
    }

    /// Makes all changes visible to readers at once.
    pub(crate) fn publish(&self, vectors: &Vectors) {
        *vectors.published.write().unwrap_or_else(PoisonError::into_inner) = self.blocks.clone();
    }

    fn block(&mut self, row: usize) -> &mut Block {
        Arc::make_mut(&mut Arc::make_mut(&mut self.blocks)[row / BLOCK_ROWS])
    }
}

/// Scales to length 1. Computed in 64 bits, because squares of 32-bit floats overflow or underflow in 32.
fn normalized(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>().sqrt();
    #[expect(clippy::cast_possible_truncation, reason = "a value between -1 and 1")]
    vector.iter().map(|&number| (f64::from(number) / length) as f32).collect()
}

/// Eight parallel sums, which the compiler keeps in registers. Unrolled by hand because a size-optimized build, as for the
/// image, does not vectorize the loop, which doubles the search time.
#[rustfmt::skip]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut s = [0.0_f32; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (x, y) in a.iter().zip(b) {
        s = [
            s[0] + x[0] * y[0], s[1] + x[1] * y[1], s[2] + x[2] * y[2], s[3] + x[3] * y[3],
            s[4] + x[4] * y[4], s[5] + x[5] * y[5], s[6] + x[6] * y[6], s[7] + x[7] * y[7],
        ];
    }
    s.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(found: &[(String, f32)]) -> Vec<&str> {
        found.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn nearest_returns_the_highest_cosines() {
        let (vectors, mut editor) = (Vectors::default(), Editor::default());
        for (id, vector) in
            [("x", [5.0, 0.0]), ("y", [0.0, 1e-30]), ("xy", [1e30, 1e30]), ("-x", [-1.0, 0.0])]
        {
            editor.put(id, &vector);
        }
        editor.publish(&vectors);
        let found = vectors.nearest(&[3e38, 0.0], 3);
        assert_eq!(ids(&found), ["x", "xy", "y"]);
        for ((_, cosine), expected) in found.iter().zip([1.0, 0.5_f32.sqrt(), 0.0]) {
            assert!((cosine - expected).abs() < 1e-6, "{cosine} {expected}");
        }
    }

    #[test]
    fn equal_cosines_are_ordered_by_id() {
        let (vectors, mut editor) = (Vectors::default(), Editor::default());
        for number in (0..40).rev() {
            editor.put(&format!("{number:02}"), &[1.0]);
        }
        editor.publish(&vectors);
        assert_eq!(ids(&vectors.nearest(&[2.0], 3)), ["00", "01", "02"]);
    }

    #[test]
    fn changes_are_invisible_until_published() {
        let (vectors, mut editor) = (Vectors::default(), Editor::default());
        editor.put("a", &[1.0]);
        assert_eq!(vectors.len(), 0);
        editor.publish(&vectors);
        editor.remove("a");
        assert_eq!(ids(&vectors.nearest(&[1.0], 5)), ["a"]);
        editor.publish(&vectors);
        assert_eq!(vectors.len(), 0);
    }

    /// Compares with a plain map, across block boundaries.
    #[test]
    fn random_puts_and_removals_agree_with_a_plain_map() {
        let (vectors, mut editor) = (Vectors::default(), Editor::default());
        let mut plain = std::collections::BTreeMap::new();
        let mut state = 1_u32;
        for step in 0..6000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = format!("{:03}", state >> 8 & 1023);
            // First more puts, then more removals, so that blocks are added and removed.
            if state >> 20 & 7 < if step < 3000 { 6 } else { 2 } {
                let vector =
                    [f32::from((state >> 3 & 255) as u8) - 127.5, 1.0, f32::from((state >> 11 & 255) as u8)];
                editor.put(&id, &vector);
                plain.insert(id, vector);
            } else {
                editor.remove(&id);
                plain.remove(&id);
            }
            if step % 500 == 0 || step == 5999 {
                editor.publish(&vectors);
                let query = [1.0, 2.0, 3.0];
                let found = vectors.nearest(&query, 2000);
                let mut expected: Vec<_> = plain
                    .iter()
                    .map(|(id, vector)| (id.clone(), dot(&normalized(&query), &normalized(vector))))
                    .collect();
                expected.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
                assert_eq!(found, expected, "after step {step}");
                assert_eq!(vectors.nearest(&query, 7), expected[..expected.len().min(7)]);
            }
        }
    }

    #[test]
    fn the_dot_product_uses_every_number_once() {
        let numbers: Vec<f32> = (1_u8..=19).map(f32::from).collect();
        let expected: f32 = numbers.iter().map(|number| number * 2.0).sum();
        assert_eq!(dot(&numbers, &[2.0; 19]), expected);
    }
}
