//! Reads ZIP archives (APPNOTE.TXT) in memory, by their central directory. Sizes and counts in an archive are not trusted.

use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::excerpt::Excerpt;
use crate::packages::Refused;

/// Maximum number of files to read in an archive; a Java archive that bundles a large application has half as many.
const MAX_ENTRIES: usize = 200_000;
/// The end record with its longest comment.
const MAX_END: usize = 22 + 65_535;

/// The bytes of an archive that were kept: its start, and for a large one its end.
#[derive(Debug, Clone, Copy)]
pub struct Source<'b> {
    start: &'b [u8],
    end: &'b [u8],
    size: u64,
}

impl<'b> Source<'b> {
    /// A file, of which parts were kept.
    pub fn of(file: &'b Excerpt, size: u64) -> Source<'b> {
        Source { start: file.part(0), end: file.part(1), size }
    }

    /// An archive in memory.
    pub fn whole(bytes: &'b [u8]) -> Source<'b> {
        Source { start: bytes, end: &[], size: bytes.len() as u64 }
    }

    /// What was kept from a place on.
    fn from(&self, at: u64) -> Option<&'b [u8]> {
        let in_end = at.checked_sub(self.size - self.end.len() as u64).filter(|_| !self.end.is_empty());
        let (part, at) = in_end.map_or((self.start, at), |at| (self.end, at));
        part.get(usize::try_from(at).ok()?..).filter(|rest| !rest.is_empty())
    }
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub name: String,
    /// Its packed bytes.
    pub packed: u64,
    method: u16,
    /// The place of its header.
    at: u64,
}

/// The files of an archive.
///
/// # Errors
/// If the central directory is missing or starts with damaged data.
pub fn entries(source: &Source<'_>) -> Result<Vec<Entry>, Refused> {
    let (mut at, shift) =
        directory(source).ok_or("not a ZIP archive, or its central directory is missing")?;
    let mut found = Vec::new();
    while found.len() < MAX_ENTRIES
        && let Some((entry, length)) = source.from(at).and_then(|bytes| entry(bytes, shift))
    {
        found.push(entry);
        at += length;
    }
    Ok(found)
}

/// The place of the central directory, and how far all offsets are shifted: an archive may follow other data, such as the
/// script of an executable one.
fn directory(source: &Source<'_>) -> Option<(u64, u64)> {
    let tail = source.size.saturating_sub(MAX_END as u64).max(source.size - kept_at_end(source));
    let bytes = source.from(tail)?;
    let end = memchr::memmem::rfind(bytes, b"PK\x05\x06")?;
    let record = &bytes[end..];
    let (mut size, mut offset) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
    let mut place = tail + end as u64;
    if offset == u64::from(u32::MAX) || size == u64::from(u32::MAX) {
        let locator = source.from(place.checked_sub(20)?)?;
        let record = place.checked_sub(20 + 56)?;
        let bytes = source.from(record)?;
        (locator.starts_with(b"PK\x06\x07") && bytes.starts_with(b"PK\x06\x06")).then_some(())?;
        (size, offset) = (u64_at(bytes, 40)?, u64_at(bytes, 48)?);
        place = record;
    }
    let at = place.checked_sub(size)?;
    Some((at, at.checked_sub(offset)?))
}

fn kept_at_end(source: &Source<'_>) -> u64 {
    if source.end.is_empty() { source.start.len() as u64 } else { source.end.len() as u64 }
}

/// An entry of the central directory, and its length.
fn entry(bytes: &[u8], shift: u64) -> Option<(Entry, u64)> {
    bytes.starts_with(b"PK\x01\x02").then_some(())?;
    let [name, extra, comment] = [28, 30, 32].map(|at| u16_at(bytes, at).map(usize::from));
    let (name, extra, comment) = (name?, extra?, comment?);
    let text = bytes.get(46..46 + name)?;
    let (short, unpacked, mut at) = (u32_at(bytes, 20)?, u32_at(bytes, 24)?, u64::from(u32_at(bytes, 42)?));
    let mut packed = u64::from(short);
    if short == u32::MAX || unpacked == u32::MAX || at == u64::from(u32::MAX) {
        // ZIP64: 64-bit numbers for those that do not fit, in this order (APPNOTE, 4.5.3).
        let mut field = zip64(bytes.get(46 + name..46 + name + extra)?)?;
        let mut next = || {
            let value = u64_at(field, 0)?;
            field = &field[8..];
            Some(value)
        };
        if unpacked == u32::MAX {
            next()?;
        }
        if short == u32::MAX {
            packed = next()?;
        }
        if at == u64::from(u32::MAX) {
            at = next()?;
        }
    }
    let (name_text, method) = (String::from_utf8_lossy(text).into_owned(), u16_at(bytes, 10)?);
    let entry = Entry { name: name_text, packed, method, at: at.checked_add(shift)? };
    Some((entry, (46 + name + extra + comment) as u64))
}

fn zip64(mut extra: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, size) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
        let field = extra.get(4..4 + size)?;
        if kind == 1 {
            return Some(field);
        }
        extra = &extra[4 + size..];
    }
}

/// The content of an entry; `None` if it was not kept, is damaged, or is packed in another way than Java's tools do.
///
/// # Errors
/// If it has more than `most` bytes, or more than may be `unpacked`.
pub fn content(
    source: &Source<'_>,
    entry: &Entry,
    most: u64,
    unpacked: &mut u64,
) -> Result<Option<Vec<u8>>, Refused> {
    let most = most.min(*unpacked);
    let Some(packed) = packed(source, entry) else { return Ok(None) };
    let mut content = Vec::new();
    let read = match entry.method {
        0 => packed.take(most + 1).read_to_end(&mut content),
        8 => DeflateDecoder::new(packed).take(most + 1).read_to_end(&mut content),
        _ => return Ok(None),
    };
    *unpacked = unpacked.saturating_sub(content.len() as u64);
    if content.len() as u64 > most {
        return Err(format!("its file {} unpacks to more than {most} bytes", entry.name));
    }
    Ok(read.is_ok().then_some(content))
}

fn packed<'b>(source: &Source<'b>, entry: &Entry) -> Option<&'b [u8]> {
    let header = source.from(entry.at)?;
    header.starts_with(b"PK\x03\x04").then_some(())?;
    let start = 30 + usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
    header.get(start..start.checked_add(usize::try_from(entry.packed).ok()?)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
pub mod tests {
    use std::io::Write as _;

    use super::*;

    /// An archive of files, deflated if they are longer than ten bytes.
    pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (name, content) in files {
            let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(content).unwrap();
            let is_stored = content.len() <= 10 || name.ends_with(".jar");
            let packed = if is_stored { content.to_vec() } else { packer.finish().unwrap() };
            let method = if is_stored { 0_u16 } else { 8 };
            let sizes = [packed.len() as u32, content.len() as u32].map(u32::to_le_bytes).concat();
            let common = [
                &20_u16.to_le_bytes()[..],
                &[0; 2],
                &method.to_le_bytes(),
                &[0; 8],
                &sizes,
                &(name.len() as u16).to_le_bytes(),
                &[0; 2],
            ]
            .concat();
            let at = (out.len() as u32).to_le_bytes();
            let entry = [b"PK\x01\x02\x14\0", common.as_slice(), &[0; 10], &at, name.as_bytes()].concat();
            directory.extend(entry);
            out.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), &packed].concat());
        }
        let (at, size) = (out.len() as u32, directory.len() as u32);
        let count = (files.len() as u16).to_le_bytes();
        let end =
            [b"PK\x05\x06\0\0\0\0", &count[..], &count, &size.to_le_bytes(), &at.to_le_bytes(), &[0; 2]];
        [out, directory, end.concat()].concat()
    }

    #[test]
    fn files_are_read_wherever_the_archive_begins() {
        let long = b"a text that is long enough to be packed, packed, packed".as_slice();
        let whole = archive(&[("a/short", b"x"), ("b/long", long)]);
        for script in [b"".as_slice(), b"#!/bin/sh\nexec java -jar \"$0\"\n"] {
            let bytes = [script, &whole].concat();
            let source = Source::whole(&bytes);
            let found = entries(&source).unwrap();
            assert_eq!(
                found.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(),
                ["a/short", "b/long"]
            );
            assert_eq!(
                content(&source, &found[0], 100, &mut 1000).unwrap().as_deref(),
                Some(b"x".as_slice())
            );
            assert_eq!(content(&source, &found[1], 100, &mut 1000).unwrap().as_deref(), Some(long));
            assert!(content(&source, &found[1], 10, &mut 1000).unwrap_err().contains("more than 10 bytes"));
        }
    }

    #[test]
    fn of_a_large_archive_the_end_has_the_names() {
        let whole = archive(&[("a", &[7; 5000]), ("b", &[8; 9])]);
        let end = &whole[whole.len() - 150..];
        let source = Source { start: &[], end, size: whole.len() as u64 };
        let found = entries(&source).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            content(&source, &found[0], 10_000, &mut 10_000).unwrap(),
            None,
            "its content was not kept"
        );
    }

    #[test]
    fn damaged_archives_do_no_harm() {
        let whole = archive(&[("a", b"content that is packed"), ("b.jar", b"x")]);
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                let source = Source::whole(&bytes);
                for entry in entries(&source).unwrap_or_default() {
                    drop(content(&source, &entry, 1000, &mut 1000));
                }
            }
            drop(entries(&Source::whole(&whole[..at])));
        }
    }
}
