//! What an ELF file says of itself, from its section headers (System V gABI, chapter 4): how many of its bytes no loader
//! reads, and whether rustc made it, from which crates.

use std::io::Read;

use serde::Deserialize;

use crate::facts::Elf;
use crate::owner::Part;

/// A section's kind: the symbol table.
const SYMTAB: u32 = 2;
/// A section's kind: program data.
const PROGBITS: u32 = 1;
/// A section's kind: takes no bytes in the file.
const NOBITS: u32 = 8;
/// A section's flag: it is in memory when the program runs.
const ALLOC: u64 = 2;
/// cargo-auditable's list of crates is some kilobytes; more than this is a lie.
const MOST_CRATES: u64 = 8_000_000;

/// A part of a file and where it stands in it.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The file's first bytes.
    pub head: &'a [u8],
    /// Where `bytes` begin.
    pub offset: u64,
    /// The part.
    pub bytes: &'a [u8],
}

/// Where the section headers stand, read from a file's first 64 bytes; `None` for what is no ELF file.
pub fn sections_at(head: &[u8]) -> Option<u64> {
    Header::read(head).map(|header| header.sections)
}

/// Reads what there is to know. A file that contradicts itself is one of which nothing is known.
pub fn read(window: Window<'_>) -> Option<Elf> {
    let header = Header::read(window.head)?;
    let sections = header.table(window)?;
    let names = sections.get(header.names)?;
    let mut elf = Elf::default();
    for section in &sections {
        let name = window.get(names.offset.checked_add(u64::from(section.name))?, 24).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        if section.kind == SYMTAB {
            let strings = sections.get(section.link as usize).map_or(0, |strings| strings.size);
            elf.strippable = elf.strippable.saturating_add(section.size).saturating_add(strings);
        } else if section.kind == PROGBITS && section.flags & ALLOC == 0 && name.starts_with(b".debug") {
            elf.strippable = elf.strippable.saturating_add(section.size);
        } else if name == b".comment" && section.kind != NOBITS {
            let text = window.get(section.offset, section.size.min(4096)).unwrap_or_default();
            elf.rust |= text.windows(6).any(|part| part == b"rustc ");
        } else if name == b".dep-v0" {
            elf.crates = window.get(section.offset, section.size).and_then(crates).unwrap_or_default();
            elf.rust |= !elf.crates.is_empty();
        }
    }
    Some(elf)
}

/// The list that cargo-auditable puts into a program: JSON, packed with zlib.
fn crates(packed: &[u8]) -> Option<Vec<Part>> {
    #[derive(Deserialize)]
    struct Audit {
        packages: Vec<Crate>,
    }
    #[derive(Deserialize)]
    struct Crate {
        name: String,
        version: String,
        // Crates that ran in the build only are in no program.
        #[serde(default)]
        kind: Option<String>,
    }
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(packed).take(MOST_CRATES).read_to_end(&mut json).ok()?;
    let audit: Audit = serde_json::from_slice(&json).ok()?;
    let in_program = |found: &Crate| found.kind.as_deref() != Some("build");
    let packages = audit.packages.into_iter().filter(in_program);
    let mut parts: Vec<Part> =
        packages.map(|found| Part { name: found.name, version: found.version }).collect();
    parts.sort();
    parts.dedup();
    Some(parts)
}

struct Header {
    wide: bool,
    little: bool,
    sections: u64,
    entry: u64,
    count: u64,
    names: usize,
}

struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
}

impl Header {
    fn read(head: &[u8]) -> Option<Header> {
        if !head.starts_with(b"\x7fELF") {
            return None;
        }
        let (wide, little) = (*head.get(4)? == 2, *head.get(5)? == 1);
        let short = |at| number(head, at, 2, little);
        let (sections, at) =
            if wide { (number(head, 40, 8, little)?, 58) } else { (number(head, 32, 4, little)?, 46) };
        let names = usize::try_from(short(at + 4)?).ok()?;
        Some(Header { wide, little, sections, entry: short(at)?, count: short(at + 2)?, names })
    }

    fn table(&self, window: Window<'_>) -> Option<Vec<Section>> {
        let size = if self.wide { 64 } else { 40 };
        if self.entry != size || self.count == 0 {
            return None;
        }
        let bytes = window.get(self.sections, size.checked_mul(self.count)?)?;
        bytes.chunks_exact(usize::try_from(size).ok()?).map(|entry| self.section(entry)).collect()
    }

    fn section(&self, entry: &[u8]) -> Option<Section> {
        let at = |wide: usize, narrow: usize| {
            let (offset, width) = if self.wide { (wide, 8) } else { (narrow, 4) };
            number(entry, offset, width, self.little)
        };
        let word = |offset| number(entry, offset, 4, self.little).and_then(|value| u32::try_from(value).ok());
        Some(Section {
            name: word(0)?,
            kind: word(4)?,
            flags: at(8, 8)?,
            offset: at(24, 16)?,
            size: at(32, 20)?,
            link: word(if self.wide { 40 } else { 24 })?,
        })
    }
}

impl<'a> Window<'a> {
    /// Bytes of the file, as many of them as there are; `None` where none is in the window.
    fn get(&self, offset: u64, size: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?.min(self.bytes.len());
        self.bytes.get(start..end)
    }
}

/// A number of some bytes.
pub fn number(bytes: &[u8], at: usize, width: usize, little: bool) -> Option<u64> {
    let bytes = bytes.get(at..at + width)?;
    let digit = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Some(if little { bytes.iter().rev().fold(0, digit) } else { bytes.iter().fold(0, digit) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// An ELF file of nothing but sections: name, kind, flags, link and content. The names stand in the first.
    fn file(wide: bool, little: bool, sections: &[(&str, u32, u64, u32, &[u8])]) -> Vec<u8> {
        let number = |value: u64, width: usize| -> Vec<u8> {
            let bytes = value.to_le_bytes()[..width].to_vec();
            if little { bytes } else { bytes.into_iter().rev().collect() }
        };
        let (word, entry) = if wide { (8, 64) } else { (4, 40) };
        let names: Vec<u8> =
            sections.iter().flat_map(|(name, ..)| [name.as_bytes(), b"\0"].concat()).collect();
        let mut body = vec![0; 64];
        let mut table = Vec::new();
        let mut name_at = 0;
        for (index, (name, kind, flags, link, content)) in sections.iter().enumerate() {
            let content: &[u8] = if index == 0 { &names } else { content };
            table.extend(
                [number(name_at, 4), number(u64::from(*kind), 4), number(*flags, word), number(0, word)]
                    .concat(),
            );
            table.extend([number(body.len() as u64, word), number(content.len() as u64, word)].concat());
            table.extend(
                [number(u64::from(*link), 4), number(0, 4), number(0, word), number(0, word)].concat(),
            );
            body.extend(content);
            name_at += name.len() as u64 + 1;
        }
        let mut head = [b"\x7fELF".to_vec(), vec![1 + u8::from(wide), if little { 1 } else { 2 }]].concat();
        head.resize(if wide { 40 } else { 32 }, 0);
        head.extend(number(body.len() as u64, word));
        head.resize(if wide { 58 } else { 46 }, 0);
        head.extend([number(entry, 2), number(sections.len() as u64, 2), number(0, 2)].concat());
        body[..head.len()].copy_from_slice(&head);
        body.extend(table);
        body
    }

    fn seen(bytes: &[u8]) -> Option<Elf> {
        read(Window { head: &bytes[..bytes.len().min(64)], offset: 0, bytes })
    }

    #[test]
    fn symbols_debugging_and_crates_are_found_whatever_the_processor() {
        let list = br#"{"packages":[{"name":"serde","version":"1.0"},{"name":"cc","version":"1.1","kind":"build"}]}"#;
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(list).unwrap();
        let packed = zlib.finish().unwrap();
        for (wide, little) in [(true, true), (true, false), (false, true), (false, false)] {
            let elf = seen(&file(
                wide,
                little,
                &[
                    ("", 3, 0, 0, &[]),
                    (".text", PROGBITS, ALLOC, 0, &[1; 900]),
                    (".symtab", SYMTAB, 0, 3, &[2; 48]),
                    (".strtab", 3, 0, 0, &[3; 30]),
                    (".debug_info", PROGBITS, 0, 0, &[4; 700]),
                    (".dep-v0", PROGBITS, 0, 0, &packed),
                    (".comment", PROGBITS, 0, 0, b"rustc version 1.91.0"),
                ],
            ));
            let elf = elf.unwrap();
            assert_eq!(elf.strippable, 48 + 30 + 700, "wide {wide}, little {little}");
            assert_eq!(elf.crates, [Part { name: "serde".into(), version: "1.0".into() }]);
            assert!(elf.rust);
        }
    }

    #[test]
    fn of_a_large_file_the_end_is_enough() {
        let whole = file(
            true,
            true,
            &[
                ("", 3, 0, 0, &[]),
                (".text", PROGBITS, ALLOC, 0, &[1; 90_000]),
                (".symtab", SYMTAB, 0, 9, &[2; 48]),
            ],
        );
        let offset = sections_at(&whole[..64]).unwrap() - 200;
        let end = Window { head: &whole[..64], offset, bytes: &whole[usize::try_from(offset).unwrap()..] };
        // The sections' names are not in it, but the symbols are told by their kind.
        assert_eq!(read(end).map(|elf| elf.strippable), Some(48));
    }

    #[test]
    fn a_file_that_lies_is_one_of_which_nothing_is_known() {
        assert_eq!(seen(b"\x7fELF"), None);
        assert_eq!(seen(b"#!/bin/sh"), None);
        let whole = file(true, true, &[("", 3, 0, 0, &[]), (".symtab", SYMTAB, 0, 0, &[2; 48])]);
        for at in 0..whole.len() {
            let mut lie = whole.clone();
            lie[at] = 0xff;
            // No panic, and no more than what a caller caps by the file's size.
            drop(seen(&lie));
            drop(seen(&whole[..at]));
        }
    }
}
