//! The parts of a file that are kept while it streams past, so that parsing a file of gigabytes takes bounded memory.

use std::ops::Range;

use object::ReadRef;

/// Longest string that is read out of a file: Linux's PATH_MAX.
const MAX_STRING: usize = 4096;

/// The parts of a file to keep.
pub type Parts = [Range<u64>; 5];

/// Up to five parts of one file. The buffers are reused from file to file.
#[derive(Debug, Default)]
pub struct Excerpt([Part; 5]);

#[derive(Debug, Default)]
struct Part {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Excerpt {
    /// Starts on the next file: these parts of it are kept.
    pub fn start(&mut self, parts: Parts) {
        for (part, range) in self.0.iter_mut().zip(parts) {
            part.range = range;
            part.bytes.clear();
        }
    }

    /// Also keeps another part, which begins in the next chunk.
    pub fn also(&mut self, index: usize, range: Range<u64>) {
        self.0[index] = Part { range, bytes: Vec::new() };
    }

    /// Keeps what belongs to a part of a chunk that begins at `at`.
    pub fn feed(&mut self, chunk: &[u8], at: u64) {
        let within = |place: u64| {
            usize::try_from(place.saturating_sub(at)).map_or(chunk.len(), |place| place.min(chunk.len()))
        };
        for Part { range, bytes } in &mut self.0 {
            bytes.extend_from_slice(&chunk[within(range.start)..within(range.end)]);
        }
    }

    /// A part of the file.
    pub fn part(&self, index: usize) -> &[u8] {
        &self.0[index].bytes
    }

    /// The first part.
    pub fn bytes(&self) -> &[u8] {
        &self.0[0].bytes
    }

    /// Where a part begins, unless it is empty.
    pub fn start_of(&self, index: usize) -> Option<u64> {
        (!self.0[index].bytes.is_empty()).then_some(self.0[index].range.start)
    }

    /// The kept bytes from an offset on, in the first part that has any.
    pub fn rest(&self, offset: u64) -> Option<&[u8]> {
        self.from(offset).find(|rest| !rest.is_empty())
    }

    /// What follows a place, in each part that holds it.
    fn from(&self, offset: u64) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter_map(move |Part { range, bytes }| {
            bytes.get(usize::try_from(offset.checked_sub(range.start)?).ok()?..)
        })
    }
}

/// `object` parses an excerpt as it would the file: what was not kept is missing.
impl<'a> ReadRef<'a> for &'a Excerpt {
    fn len(self) -> Result<u64, ()> {
        self.0.iter().map(|part| part.range.end).max().ok_or(())
    }

    fn read_bytes_at(self, offset: u64, size: u64) -> Result<&'a [u8], ()> {
        let size = usize::try_from(size).map_err(drop)?;
        if size == 0 { Ok(&[]) } else { self.from(offset).find_map(|rest| rest.get(..size)).ok_or(()) }
    }

    fn read_bytes_at_until(self, range: Range<u64>, delimiter: u8) -> Result<&'a [u8], ()> {
        let most = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(MAX_STRING);
        let string = |rest: &'a [u8]| {
            let end = rest.iter().take(most.min(MAX_STRING)).position(|byte| *byte == delimiter)?;
            rest.get(..end)
        };
        self.from(range.start).find_map(string).ok_or(())
    }
}
