//! The rows of the vectors in memory, and the scan through all of them.

use std::hash::BuildHasher as _;
use std::ops::Range;
use std::thread::available_parallelism;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::best::Best;
use crate::quantized::{Query, code, half_bytes, split};

/// Rows that are allocated at once.
const CHUNK_ROWS: usize = 4096;

/// Rows that are compared with one query after another while they are in the processor's cache.
const TILE_ROWS: usize = 64;

/// Chunks that are worth a thread.
const CHUNKS_PER_THREAD: usize = 8;

/// What the allocator adds to the memory of an id, in bytes.
const ID_OVERHEAD: usize = 16;

/// Rows that a scan finds for each that is wanted, and in addition: its error may put this many before it.
const SCANNED: (usize, usize) = (8, 120);

/// Memory of a row in bytes, without what its id points to.
fn row_bytes(dimension: usize) -> usize {
    2 * half_bytes(dimension) + size_of::<f32>() + size_of::<Box<str>>()
}

/// The least memory that this many vectors take, in bytes; their ids come on top.
pub(crate) fn least_bytes(count: u64, dimension: usize) -> u64 {
    count.saturating_mul(row_bytes(dimension) as u64)
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
    /// The halves of the codes.
    upper: Vec<u8>,
    lower: Vec<u8>,
    scales: Vec<f32>,
}

impl Chunk {
    fn new(dimension: usize) -> Self {
        Self {
            ids: Vec::with_capacity(CHUNK_ROWS),
            upper: Vec::with_capacity(CHUNK_ROWS * half_bytes(dimension)),
            lower: Vec::with_capacity(CHUNK_ROWS * half_bytes(dimension)),
            scales: Vec::with_capacity(CHUNK_ROWS),
        }
    }

    /// The halves of a row's codes.
    fn halves(&self, row: usize, half: usize) -> (&[u8], &[u8]) {
        (&self.upper[row * half..][..half], &self.lower[row * half..][..half])
    }

    fn put(&mut self, row: usize, codes: &[u8], scale: f32) {
        let half = half_bytes(codes.len());
        let end = self.upper.len().max((row + 1) * half);
        self.upper.resize(end, 0);
        self.lower.resize(end, 0);
        split(codes, &mut self.upper[row * half..][..half], &mut self.lower[row * half..][..half]);
        self.scales.resize(self.scales.len().max(row + 1), 0.0);
        self.scales[row] = scale;
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

    /// Whether the id has this vector.
    pub(crate) fn has(&self, id: &str, codes: &[u8], scale: f32) -> bool {
        self.place(id).is_some_and(|row| {
            let (chunk, row) = (&self.chunks[row as usize / CHUNK_ROWS], row as usize % CHUNK_ROWS);
            let (upper, lower) = chunk.halves(row, half_bytes(self.dimension));
            chunk.scales[row].to_bits() == scale.to_bits()
                && self.dimension == codes.len()
                && codes.iter().enumerate().all(|(place, &expected)| code(upper, lower, place) == expected)
        })
    }

    /// Adds or replaces a vector.
    pub(crate) fn put(&mut self, id: &str, codes: &[u8], scale: f32) {
        self.dimension = codes.len();
        if let Some(row) = self.place(id) {
            self.chunks[row as usize / CHUNK_ROWS].put(row as usize % CHUNK_ROWS, codes, scale);
            return;
        }
        let row = self.places.len();
        if row.is_multiple_of(CHUNK_ROWS) {
            self.chunks.push(Chunk::new(codes.len()));
        }
        let hash = self.hasher.hash_one(id);
        self.id_bytes += id.len();
        let chunk = &mut self.chunks[row / CHUNK_ROWS];
        chunk.ids.push(id.into());
        chunk.put(row % CHUNK_ROWS, codes, scale);
        let (chunks, hasher) = (&self.chunks, &self.hasher);
        let rehash = |&row: &u32| {
            let row = row as usize;
            hasher.hash_one(&*chunks[row / CHUNK_ROWS].ids[row % CHUNK_ROWS])
        };
        #[expect(clippy::cast_possible_truncation, reason = "four billion rows do not fit into memory")]
        self.places.insert_unique(hash, row as u32, rehash);
    }

    /// The last row takes the place of the removed one.
    pub(crate) fn remove(&mut self, id: &str) {
        let Some(row) = self.take_place(id) else { return };
        self.id_bytes -= id.len();
        let half = half_bytes(self.dimension);
        let Some(chunk) = self.chunks.last_mut() else { return };
        let (upper, lower) = (split_last(&mut chunk.upper, half), split_last(&mut chunk.lower, half));
        let (moved, scale) = (chunk.ids.pop(), chunk.scales.pop());
        if chunk.ids.is_empty() {
            self.chunks.pop();
        }
        if let (Some(moved), Some(scale)) = (moved, scale)
            && &*moved != id
        {
            let last = self.places.len();
            let found = self.places.find_mut(self.hasher.hash_one(&*moved), |&place| place as usize == last);
            if let Some(place) = found {
                *place = row;
            }
            let (chunk, row) = (&mut self.chunks[row as usize / CHUNK_ROWS], row as usize % CHUNK_ROWS);
            chunk.upper[row * half..][..half].copy_from_slice(&upper);
            chunk.lower[row * half..][..half].copy_from_slice(&lower);
            chunk.scales[row] = scale;
            chunk.ids[row] = moved;
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
        let ids = self.id_bytes + id_bytes + count * ID_OVERHEAD;
        // A power of two, at most 7/8 of it in use, with a byte more for each place.
        let places = if count == 0 { 0 } else { (count * 8 / 7 + 1).next_power_of_two() };
        let table = places * (size_of::<u32>() + 1);
        count.next_multiple_of(CHUNK_ROWS) * row_bytes(dimension) + ids + table
    }

    /// The ids that are nearest to each of the queries, unordered; with how many of them are wanted.
    pub(crate) fn search(&self, searches: &[(&Query, usize)]) -> Vec<Vec<String>> {
        let threads = available_parallelism().map_or(1, usize::from);
        let threads = threads.min(self.chunks.len().div_ceil(CHUNKS_PER_THREAD)).max(1);
        let share = self.chunks.len().div_ceil(threads).max(1);
        let parts: Vec<_> = (0..self.chunks.len()).step_by(share).map(|first| first..first + share).collect();
        let mut found: Vec<Vec<Best<Place<'_>>>> = std::thread::scope(|scope| {
            let (first, others) =
                parts.split_first().map_or((0..0, &[][..]), |(first, rest)| (first.clone(), rest));
            let others: Vec<_> =
                others.iter().map(|part| scope.spawn(|| self.scan(part.clone(), searches))).collect();
            let first = self.scan(first, searches);
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
        merged.into_iter().zip(searches).map(|(found, &search)| self.nearest(found, search)).collect()
    }

    /// The best of these chunks for each search.
    fn scan<'a>(&'a self, chunks: Range<usize>, searches: &[(&Query, usize)]) -> Vec<Best<Place<'a>>> {
        let mut best: Vec<_> =
            searches.iter().map(|(_, wanted)| Best::new(SCANNED.0 * wanted + SCANNED.1)).collect();
        let mut similarities = Vec::with_capacity(TILE_ROWS);
        let half = half_bytes(self.dimension);
        for (number, chunk) in self.chunks.iter().enumerate().take(chunks.end).skip(chunks.start) {
            for (start, scales) in (0..).step_by(TILE_ROWS).zip(chunk.scales.chunks(TILE_ROWS)) {
                let tile = start * half..(start + scales.len()) * half;
                let (upper, lower) = (&chunk.upper[tile.clone()], &chunk.lower[tile]);
                for (&(query, _), best) in searches.iter().zip(&mut best) {
                    // The store may have been filled with vectors of another dimension while the search waited.
                    if query.dimension() != self.dimension {
                        continue;
                    }
                    similarities.clear();
                    query.scan(upper, lower, scales, &mut similarities);
                    for (row, &similarity) in (start..).zip(&similarities) {
                        best.offer(similarity, (&*chunk.ids[row], number * CHUNK_ROWS + row));
                    }
                }
            }
        }
        best
    }

    /// The nearest of the rows that a scan found.
    fn nearest(&self, found: Best<Place<'_>>, (query, wanted): (&Query, usize)) -> Vec<String> {
        let mut best = Best::new(wanted);
        for (id, row) in found.into_items() {
            let (chunk, row) = (&self.chunks[row / CHUNK_ROWS], row % CHUNK_ROWS);
            let (upper, lower) = chunk.halves(row, half_bytes(self.dimension));
            best.offer(query.similarity(upper, lower, chunk.scales[row]), id);
        }
        best.into_items().map(str::to_owned).collect()
    }
}

/// The id and the row of a vector.
type Place<'a> = (&'a str, usize);

fn split_last(bytes: &mut Vec<u8>, count: usize) -> Vec<u8> {
    bytes.split_off(bytes.len() - count)
}
