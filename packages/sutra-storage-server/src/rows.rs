//! The rows of the vectors in memory, and the scan through all of them.

use std::hash::BuildHasher as _;
use std::thread::available_parallelism;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::best::Best;
use crate::quantized::Query;

/// Rows that are allocated at once.
const CHUNK_ROWS: usize = 4096;

/// Rows that are compared with one query after another while they are in the processor's cache.
const TILE_ROWS: usize = 64;

/// Chunks that are worth a thread.
const CHUNKS_PER_THREAD: usize = 8;

/// What the allocator adds to the memory of an id, in bytes.
const ID_OVERHEAD: usize = 16;

/// The least memory that this many vectors take, in bytes; their ids come on top.
pub(crate) fn least_bytes(count: u64, dimension: u64) -> u64 {
    count.saturating_mul(dimension.saturating_add((size_of::<f32>() + size_of::<Box<str>>()) as u64))
}

/// The vectors, in chunks; removals leave no gaps.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    chunks: Vec<Chunk>,
    /// The row of each id.
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
    pub(crate) dimension: usize,
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
    /// Number of vectors.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    fn id(&self, row: u32) -> &str {
        let row = row as usize;
        &self.chunks[row / CHUNK_ROWS].ids[row % CHUNK_ROWS]
    }

    /// The row of an id, if it has a vector.
    pub(crate) fn place(&self, id: &str) -> Option<u32> {
        self.places.find(self.hasher.hash_one(id), |&row| self.id(row) == id).copied()
    }

    /// Adds or replaces a vector.
    pub(crate) fn put(&mut self, id: Box<str>, codes: &[i8], scale: f32) {
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
    pub(crate) fn remove(&mut self, id: &str) {
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
    pub(crate) fn bytes(&self, dimension: usize, rows: usize, id_bytes: usize) -> usize {
        let count = self.places.len() + rows;
        let row_bytes = dimension + size_of::<f32>() + size_of::<Box<str>>();
        let ids = self.id_bytes + id_bytes + count * ID_OVERHEAD;
        // A power of two, at most 7/8 of it in use, with a byte more for each place.
        let places = if count == 0 { 0 } else { (count * 8 / 7 + 1).next_power_of_two() };
        let table = places * (size_of::<u32>() + 1);
        count.next_multiple_of(CHUNK_ROWS) * row_bytes + ids + table
    }

    /// The answers of all searches, in order.
    pub(crate) fn search(&self, searches: &[(&Query, usize)]) -> Vec<Vec<String>> {
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
fn scan<'a>(chunks: &'a [Chunk], searches: &[(&Query, usize)]) -> Vec<Best<'a>> {
    let mut best: Vec<Best<'a>> = searches.iter().map(|search| Best::new(search.1)).collect();
    let mut similarities = Vec::with_capacity(TILE_ROWS);
    for chunk in chunks {
        for (tile, scales) in chunk.scales.chunks(TILE_ROWS).enumerate() {
            let start = tile * TILE_ROWS;
            let ids = &chunk.ids[start..start + scales.len()];
            for (&(query, _), best) in searches.iter().zip(&mut best) {
                let dimension = query.dimension();
                // The store may have been filled with vectors of another dimension while the search waited.
                if chunk.codes.len() != chunk.scales.len() * dimension {
                    continue;
                }
                let codes = &chunk.codes[start * dimension..][..scales.len() * dimension];
                similarities.clear();
                query.similarities(codes, scales, &mut similarities);
                for (&similarity, id) in similarities.iter().zip(ids) {
                    best.offer(similarity, id);
                }
            }
        }
    }
    best
}
