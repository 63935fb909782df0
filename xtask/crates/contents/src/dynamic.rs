//! What an ELF file asks of the loader, from its program headers (System V gABI, chapter 5, "Dynamic Linking").

use crate::elf::number;
use crate::facts::Dynamic;

/// A segment's kind: mapped into memory.
const LOAD: u64 = 1;
/// A segment's kind: the dynamic section.
const DYNAMIC: u64 = 2;
/// A segment's kind: the path of the interpreter.
const INTERP: u64 = 3;

/// Tags of the dynamic section.
const NEEDED: u64 = 1;
const STRTAB: u64 = 5;
const SONAME: u64 = 14;
const RPATH: u64 = 15;
const RUNPATH: u64 = 29;

/// No name is longer: Linux's PATH_MAX.
const LONGEST: u64 = 4096;

struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

/// Pieces of a file, each with the place where it begins; the first that holds a place counts.
#[derive(Debug, Clone, Copy)]
struct Pieces<'a>(&'a [(u64, &'a [u8])]);

impl<'a> Pieces<'a> {
    /// Bytes of the file, as many of them as one piece holds; `None` where none has their begin.
    fn get(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        self.0.iter().find_map(|(begin, bytes)| {
            let start = usize::try_from(offset.checked_sub(*begin)?).ok()?;
            let end = start.checked_add(usize::try_from(size).ok()?)?.min(bytes.len());
            bytes.get(start..end).filter(|bytes| !bytes.is_empty())
        })
    }
}

/// Of a large file its begin, where the names stand that the loader needs; and no dynamic section is longer.
const MOST_BEGIN: usize = 8_000_000;

/// What is kept of a file that is too large to be kept whole, while it streams past: its begin and its dynamic section.
#[derive(Debug, Default)]
pub struct Large {
    at: Option<(u64, u64)>,
    begin: Vec<u8>,
    section: Vec<u8>,
}

impl Large {
    /// Forgets the file before.
    pub fn clear(&mut self) {
        self.at = None;
        self.begin.clear();
        self.section.clear();
    }

    /// Starts on a large file, by its first piece.
    pub fn start(&mut self, begin: &[u8]) {
        let headers = Headers::read(Pieces(&[(0, begin)]));
        self.at = headers.and_then(|found| found.of(DYNAMIC).map(|section| (section.offset, section.size)));
    }

    /// Keeps what matters of a piece that begins at `at`.
    pub fn feed(&mut self, piece: &[u8], at: u64) {
        let Some((section, size)) = self.at else { return };
        let room = (MOST_BEGIN - self.begin.len()).min(piece.len());
        self.begin.extend_from_slice(&piece[..room]);
        let place = |place: u64| {
            usize::try_from(place.saturating_sub(at)).map_or(piece.len(), |place| place.min(piece.len()))
        };
        let end = section.saturating_add(size.min(MOST_BEGIN as u64));
        self.section.extend_from_slice(&piece[place(section)..place(end)]);
    }

    /// What the file asks of the loader. `tail` is what else of it was kept: all of it, where it is not large.
    pub fn read(&self, tail: (u64, &[u8])) -> Option<Dynamic> {
        let Some((section, _)) = self.at else { return read(Pieces(&[tail])) };
        // The section first: the begin may hold a part of it.
        read(Pieces(&[(section, &self.section), (0, &self.begin), tail]))
    }
}

struct Headers {
    wide: bool,
    little: bool,
    machine: u16,
    segments: Vec<Segment>,
}

impl Headers {
    fn read(pieces: Pieces<'_>) -> Option<Headers> {
        let head = pieces.get(0, 64)?;
        if !head.starts_with(b"\x7fELF") {
            return None;
        }
        let (wide, little) = (*head.get(4)? == 2, *head.get(5)? == 1);
        let machine = u16::try_from(number(head, 18, 2, little)?).ok()?;
        Some(Headers { wide, little, machine, segments: segments(pieces, head, wide, little)? })
    }

    fn of(&self, kind: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }
}

/// Reads it. `None` for what is no ELF file, is linked statically, or contradicts itself.
fn read(pieces: Pieces<'_>) -> Option<Dynamic> {
    let headers = Headers::read(pieces)?;
    let Headers { wide, little, machine, ref segments } = headers;
    let of = |kind| headers.of(kind);
    let section = of(DYNAMIC)?;
    let word: u64 = if wide { 8 } else { 4 };
    let bytes = pieces.get(section.offset, section.size)?;
    let width = usize::try_from(word).ok()?;
    let entries: Vec<(u64, u64)> = bytes
        .chunks_exact(2 * width)
        .filter_map(|entry| Some((number(entry, 0, width, little)?, number(entry, width, width, little)?)))
        .take_while(|(tag, _)| *tag != 0)
        .collect();
    let address = entries.iter().find(|(tag, _)| *tag == STRTAB)?.1;
    let strings = segments.iter().filter(|segment| segment.kind == LOAD).find_map(|segment| {
        let inside = address.checked_sub(segment.address).filter(|inside| *inside < segment.size)?;
        segment.offset.checked_add(inside)
    })?;
    let text = |offset: u64| name(pieces, strings.checked_add(offset)?);
    let all = |wanted| entries.iter().filter(move |(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let path = |tag| all(tag).next().and_then(text).filter(|path| !path.is_empty());
    Some(Dynamic {
        machine,
        wide,
        interpreter: of(INTERP).and_then(|segment| name(pieces, segment.offset)),
        needed: all(NEEDED).map(text).collect::<Option<_>>()?,
        soname: path(SONAME),
        rpath: path(RPATH),
        runpath: path(RUNPATH),
    })
}

fn segments(pieces: Pieces<'_>, head: &[u8], wide: bool, little: bool) -> Option<Vec<Segment>> {
    let (table, at) =
        if wide { (number(head, 32, 8, little)?, 54) } else { (number(head, 28, 4, little)?, 42) };
    let (entry, count) = (number(head, at, 2, little)?, number(head, at + 2, 2, little)?);
    if entry != if wide { 56 } else { 32 } {
        return None;
    }
    let bytes = pieces.get(table, entry.checked_mul(count)?)?;
    let one = |segment: &[u8]| {
        let word = |in_wide, in_narrow| {
            if wide { number(segment, in_wide, 8, little) } else { number(segment, in_narrow, 4, little) }
        };
        Some(Segment {
            kind: number(segment, 0, 4, little)?,
            offset: word(8, 4)?,
            address: word(16, 8)?,
            size: word(32, 16)?,
        })
    };
    bytes.chunks_exact(usize::try_from(entry).ok()?).map(one).collect()
}

/// A text that ends in a zero; `None` where no end is to be found.
fn name(pieces: Pieces<'_>, offset: u64) -> Option<String> {
    let bytes = pieces.get(offset, LONGEST)?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    String::from_utf8(bytes[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one mapped segment that holds all of it: program headers, dynamic section, texts.
    fn file(wide: bool, little: bool, tags: &[(u64, &str)], interpreter: Option<&str>) -> Vec<u8> {
        let number = |value: u64, width: usize| -> Vec<u8> {
            let bytes = value.to_le_bytes()[..width].to_vec();
            if little { bytes } else { bytes.into_iter().rev().collect() }
        };
        let (word, header, entry) = if wide { (8, 64, 56) } else { (4, 52, 32) };
        let address = 0x1000_u64;
        let dynamic = header + 3 * entry;
        let strings = dynamic + (tags.len() as u64 + 2) * 2 * word as u64;
        let mut texts = vec![0];
        let mut section = [number(STRTAB, word), number(address + strings, word)].concat();
        for (tag, text) in tags {
            section.extend([number(*tag, word), number(texts.len() as u64, word)].concat());
            texts.extend([text.as_bytes(), b"\0"].concat());
        }
        section.extend(vec![0; 2 * word]);
        let interp = strings + texts.len() as u64;
        texts.extend([interpreter.unwrap_or_default().as_bytes(), b"\0"].concat());
        let all = strings + texts.len() as u64;
        let segment = |kind: u64, offset: u64, size: u64| {
            let [offset_at, address_at, size] =
                [offset, address + offset, size].map(|value| number(value, word));
            let flags = number(0, 4);
            let kind = number(kind, 4);
            if wide {
                [kind, flags, offset_at, address_at.clone(), address_at, size.clone(), size, number(0, 8)]
                    .concat()
            } else {
                [kind, offset_at, address_at.clone(), address_at, size.clone(), size, flags, number(0, 4)]
                    .concat()
            }
        };
        let mut out = vec![0; usize::try_from(header).unwrap()];
        out[..4].copy_from_slice(b"\x7fELF");
        (out[4], out[5]) = (if wide { 2 } else { 1 }, if little { 1 } else { 2 });
        let mut set = |at: usize, bytes: Vec<u8>| out[at..at + bytes.len()].copy_from_slice(&bytes);
        set(18, number(62, 2));
        set(if wide { 32 } else { 28 }, number(header, word));
        set(if wide { 54 } else { 42 }, [number(entry, 2), number(3, 2)].concat());
        out.extend(segment(LOAD, 0, all));
        out.extend(segment(DYNAMIC, dynamic, section.len() as u64));
        out.extend(segment(if interpreter.is_some() { INTERP } else { 0 }, interp, 4));
        out.extend(section);
        out.extend(texts);
        out
    }

    fn of(bytes: &[u8]) -> Option<Dynamic> {
        read(Pieces(&[(0, bytes)]))
    }

    #[test]
    fn every_width_and_order_tells_what_it_needs() {
        let tags = [(NEEDED, "liba.so.1"), (RUNPATH, "$ORIGIN/../lib"), (NEEDED, "libc.so.6")];
        for (wide, little) in [(true, true), (true, false), (false, true), (false, false)] {
            let found = of(&file(wide, little, &tags, Some("/lib64/ld.so"))).unwrap();
            assert_eq!(found.needed, ["liba.so.1", "libc.so.6"]);
            assert_eq!(found.runpath.as_deref(), Some("$ORIGIN/../lib"));
            assert_eq!((found.rpath, found.soname), (None, None));
            assert_eq!((found.interpreter.as_deref(), found.machine), (Some("/lib64/ld.so"), 62));
        }
    }

    #[test]
    fn begin_section_and_end_of_a_large_file_are_enough() {
        let whole = file(true, true, &[(NEEDED, "liba.so.1")], None);
        let names = whole.len() - 40;
        for size in [232, 250, 300] {
            let mut large = Large::default();
            large.start(&whole[..232]);
            let mut at = 0;
            for piece in whole.chunks(size) {
                large.feed(piece, at);
                at += piece.len() as u64;
            }
            assert_eq!(large.section, whole[232..232 + 48]);
            // As if the begin that was kept ended before the section does.
            large.begin.truncate(240);
            assert_eq!(large.read((names as u64, &whole[names..])).unwrap().needed, ["liba.so.1"]);
            assert_eq!(large.read((0, &[])), None, "its texts are missing");
            large.clear();
            assert_eq!(large.read((0, &whole)).unwrap().needed, ["liba.so.1"]);
        }
    }

    #[test]
    fn a_file_that_lies_is_one_of_which_nothing_is_known() {
        let whole = file(true, true, &[(NEEDED, "liba.so.1")], None);
        for at in 0..whole.len() {
            let mut lie = whole.clone();
            lie[at] = 0xff;
            // No panic, whatever comes of it.
            drop(of(&lie));
            drop(of(&whole[..at]));
        }
        assert_eq!(of(&[b"#!/bin/sh".as_slice(), &[0; 64]].concat()), None);
    }
}
