//! All vectors in memory, in 8 bits, searched exhaustively.
//!
//! A search finds candidates; the caller compares them exactly. Searches that arrive while one is running are answered
//! together by the next one, which reads the memory once for all of them.

use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::available_parallelism;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::best::Best;
use crate::quantized::{Query, quantize};
use crate::view::View;

/// Rows that are allocated at once.
const CHUNK_ROWS: usize = 4096;

/// Rows that are compared with one query after another while they are in the processor's cache.
const TILE_ROWS: usize = 64;

/// Chunks that are worth a thread.
const CHUNKS_PER_THREAD: usize = 8;

/// Maximum number of searches that share one pass.
const SHARED_SEARCHES: usize = 16;

/// What the allocator adds to the memory of an id, in bytes.
const ID_OVERHEAD: usize = 16;

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
    id: Box<str>,
    /// Codes and scale; `None` to remove the vector.
    row: Option<(Vec<i8>, f32)>,
}

impl VectorChange {
    /// A change that stores `vector`, or removes it if it is `None`.
    pub(crate) fn new(id: &str, vector: Option<&[f32]>) -> Self {
        let row = vector.map(|vector| {
            let mut codes = Vec::with_capacity(vector.len());
            let scale = quantize(vector, &mut codes);
            (codes, scale)
        });
        Self { id: id.into(), row }
    }
}

impl Vectors {
    /// The ids whose vectors are nearest to `query`, which must have the dimension of the stored vectors; unordered. With
    /// some tolerance for the error of 8 bits, the `limit` nearest ones are among them. Blocks.
    pub(crate) fn candidates(&self, query: &[f32], limit: usize) -> Vec<String> {
        let waiting =
            Arc::new(Waiting { query: Query::new(query), limit: 2 * limit + 20, answer: OnceLock::new() });
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
            for (search, answer) in together.iter().zip(rows.search(&together)) {
                // Only the search that runs answers others.
                let _ = search.answer.set(answer);
            }
        }
        drop(running);
        waiting.answer.get().cloned().unwrap_or_default()
    }

    /// Applies changes; searches see all of them or none.
    pub(crate) fn change(&self, changes: Vec<VectorChange>) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change.row {
                Some((codes, scale)) => rows.put(change.id, &codes, scale),
                None => rows.remove(&change.id),
            }
        }
    }

    /// Replaces all vectors by those of the store.
    pub(crate) fn load(&self, view: &View) -> Result<(), redb::Error> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        *rows = Rows::default();
        let mut codes = Vec::new();
        view.each_vector(|id, vector| {
            codes.clear();
            let scale = quantize(vector, &mut codes);
            rows.put(id.into(), &codes, scale);
        })
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
        self.rows.read().unwrap_or_else(PoisonError::into_inner).places.len()
    }
}

/// Memory in bytes that so many vectors need, apart from their ids.
pub(crate) fn least_bytes(count: u64, dimension: u64) -> u64 {
    count.saturating_mul(dimension.saturating_add((size_of::<f32>() + size_of::<Box<str>>()) as u64))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing is left half-changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
struct Rows {
    chunks: Vec<Chunk>,
    /// The row of each id.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    dimension: usize,
    /// Length of all ids, in bytes.
    id_bytes: usize,
}

#[derive(Debug)]
struct Chunk {
    ids: Vec<Box<str>>,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl Chunk {
    fn new(dimension: usize) -> Self {
        Self {
            ids: Vec::with_capacity(CHUNK_ROWS),
            codes: Vec::with_capacity(CHUNK_ROWS * dimension),
            scales: Vec::with_capacity(CHUNK_ROWS),
        }
    }
}

impl Rows {
    fn id(&self, row: u32) -> &str {
        let row = row as usize;
        &self.chunks[row / CHUNK_ROWS].ids[row % CHUNK_ROWS]
    }

    fn place(&self, id: &str) -> Option<u32> {
        self.places.find(self.hasher.hash_one(id), |&row| self.id(row) == id).copied()
    }

    fn put(&mut self, id: Box<str>, codes: &[i8], scale: f32) {
        self.dimension = codes.len();
        if let Some(row) = self.place(&id) {
            self.overwrite(row, codes, scale);
            return;
        }
        let row = self.places.len();
        if row.is_multiple_of(CHUNK_ROWS) {
            self.chunks.push(Chunk::new(codes.len()));
        }
        let hash = self.hasher.hash_one(&*id);
        self.id_bytes += id.len();
        let chunk = &mut self.chunks[row / CHUNK_ROWS];
        chunk.ids.push(id);
        chunk.codes.extend_from_slice(codes);
        chunk.scales.push(scale);
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        let rehash = |&row: &u32| {
            let row = row as usize;
            hasher.hash_one(&*chunks[row / CHUNK_ROWS].ids[row % CHUNK_ROWS])
        };
        #[expect(clippy::cast_possible_truncation, reason = "four billion rows do not fit into memory")]
        self.places.insert_unique(hash, row as u32, rehash);
    }

    fn overwrite(&mut self, row: u32, codes: &[i8], scale: f32) {
        let (chunk, place) = (&mut self.chunks[row as usize / CHUNK_ROWS], row as usize % CHUNK_ROWS);
        chunk.codes[place * codes.len()..][..codes.len()].copy_from_slice(codes);
        chunk.scales[place] = scale;
    }

    /// The last row takes the place of the removed one.
    fn remove(&mut self, id: &str) {
        let Some(row) = self.take_place(id) else { return };
        self.id_bytes -= id.len();
        let Some(chunk) = self.chunks.last_mut() else { return };
        let codes = chunk.codes.split_off(chunk.codes.len() - self.dimension);
        let (moved, scale) = (chunk.ids.pop(), chunk.scales.pop());
        if chunk.ids.is_empty() {
            self.chunks.pop();
        }
        if let (Some(moved), Some(scale)) = (moved, scale)
            && &*moved != id
        {
            self.overwrite(row, &codes, scale);
            let last = self.places.len();
            let found = self.places.find_mut(self.hasher.hash_one(&*moved), |&place| place as usize == last);
            if let Some(place) = found {
                *place = row;
            }
            self.chunks[row as usize / CHUNK_ROWS].ids[row as usize % CHUNK_ROWS] = moved;
        }
    }

    fn take_place(&mut self, id: &str) -> Option<u32> {
        let (hash, chunks) = (self.hasher.hash_one(id), &self.chunks);
        let is_it = |&row: &u32| &*chunks[row as usize / CHUNK_ROWS].ids[row as usize % CHUNK_ROWS] == id;
        self.places.find_entry(hash, is_it).ok().map(|entry| entry.remove().0)
    }

    /// Memory in bytes with `rows` more rows, whose ids have `id_bytes`.
    fn bytes(&self, dimension: usize, rows: usize, id_bytes: usize) -> usize {
        let count = self.places.len() + rows;
        let row_bytes = dimension + size_of::<f32>() + size_of::<Box<str>>();
        let ids = self.id_bytes + id_bytes + count * ID_OVERHEAD;
        // A power of two, at most 7/8 of it in use, with a byte more for each place.
        let places = if count == 0 { 0 } else { (count * 8 / 7 + 1).next_power_of_two() };
        let table = places * (size_of::<u32>() + 1);
        count.next_multiple_of(CHUNK_ROWS) * row_bytes + ids + table
    }

    /// The answers of all searches, in order.
    fn search(&self, searches: &[Arc<Waiting>]) -> Vec<Vec<String>> {
        let threads = available_parallelism().map_or(1, usize::from);
        let threads = threads.min(self.chunks.len().div_ceil(CHUNKS_PER_THREAD)).max(1);
        let parts: Vec<_> = self.chunks.chunks(self.chunks.len().div_ceil(threads).max(1)).collect();
        let mut found: Vec<Vec<Best<'_>>> = std::thread::scope(|scope| {
            let (first, others) =
                parts.split_first().map_or((&[][..], &[][..]), |(first, rest)| (*first, rest));
            let others: Vec<_> = others.iter().map(|part| scope.spawn(|| scan(part, searches))).collect();
            let first = scan(first, searches);
            let join = |part: std::thread::ScopedJoinHandle<'_, _>| {
                part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            std::iter::once(first).chain(others.into_iter().map(join)).collect()
        });
        let mut merged = found.pop().unwrap_or_default();
        for part in found {
            for (all, best) in merged.iter_mut().zip(part) {
                all.merge(best);
            }
        }
        merged.into_iter().map(|best| best.into_ids().map(str::to_owned).collect()).collect()
    }
}

/// The best of these chunks for each search.
fn scan<'a>(chunks: &'a [Chunk], searches: &[Arc<Waiting>]) -> Vec<Best<'a>> {
    let mut best: Vec<Best<'a>> = searches.iter().map(|search| Best::new(search.limit)).collect();
    let mut similarities = Vec::with_capacity(TILE_ROWS);
    for chunk in chunks {
        for (tile, scales) in chunk.scales.chunks(TILE_ROWS).enumerate() {
            let start = tile * TILE_ROWS;
            let ids = &chunk.ids[start..start + scales.len()];
            for (search, best) in searches.iter().zip(&mut best) {
                let dimension = search.query.dimension();
                // The store may have been filled with vectors of another dimension while the search waited.
                if chunk.codes.len() != chunk.scales.len() * dimension {
                    continue;
                }
                let codes = &chunk.codes[start * dimension..][..scales.len() * dimension];
                similarities.clear();
                search.query.similarities(codes, scales, &mut similarities);
                for (&similarity, id) in similarities.iter().zip(ids) {
                    best.offer(similarity, id);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantized::cosine;
    use std::collections::BTreeMap;

    fn put(vectors: &Vectors, id: &str, vector: &[f32]) {
        vectors.change(vec![VectorChange::new(id, Some(vector))]);
    }

    fn sorted(mut ids: Vec<String>) -> Vec<String> {
        ids.sort();
        ids
    }

    #[test]
    fn the_nearest_are_among_the_candidates() {
        let vectors = Vectors::default();
        for number in 0..200_u8 {
            put(&vectors, &format!("{number:03}"), &[f32::from(number), 100.0]);
        }
        let found = vectors.candidates(&[199.0, 100.0], 3);
        assert_eq!(found.len(), 26);
        for id in ["199", "198", "197"] {
            assert!(found.iter().any(|found| found == id), "{id}");
        }
    }

    #[test]
    fn of_equal_vectors_those_with_the_lowest_ids_are_candidates() {
        let vectors = Vectors::default();
        for number in (0..100).rev() {
            put(&vectors, &format!("{number:02}"), &[1.0]);
        }
        let expected: Vec<String> = (0..22).map(|number| format!("{number:02}")).collect();
        assert_eq!(sorted(vectors.candidates(&[2.0], 1)), expected);
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
                vectors.change(vec![VectorChange::new(&id, None)]);
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
        (0..10_000).for_each(|number| vectors.change(vec![VectorChange::new(&number.to_string(), None)]));
        assert_eq!(bytes(), empty);
    }
}
