//! What is in an ELF file (System V gABI): what stripping would remove, the crates it was built from, and what it asks of
//! the dynamic loader.

use std::io::Read;
use std::ops::Range;

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::StringTable;
use object::read::elf::{
    Dyn as _, FileHeader, ProgramHeader as _, SectionHeader as _, SectionTable, Sym as _,
};
use object::{Endianness, ReadRef as _};
use serde::Deserialize;

use crate::code::symbols::{self, Function};
use crate::code::{self, build_info};
use crate::excerpt::{Excerpt, Parts};
use crate::facts::{Dynamic, Elf, GoBuild, InsideBytes, LinkedCrate, MAX_WHOLE_ELF};

/// Of a larger file its start, where the strings are that the loader needs.
const MAX_START: u64 = 8_000_000;
/// Maximum size of what precedes the section headers of a larger file: their names, cargo-auditable's list, symbols.
const BEFORE_SECTIONS: u64 = 24_000_000;
/// The largest function table of Go, with its build information behind it: a third of a program of 200 MB.
const MAX_FUNCTION_TABLE: u64 = 64_000_000;
/// The part of a larger file that has Go's build information, if it was found while the file was read.
pub const BUILD_INFO: usize = 4;
/// Go's function table, and in a position-independent program.
const FUNCTION_TABLES: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];
/// cargo-auditable's list of crates takes some kilobytes.
const MAX_CRATES: u64 = 8_000_000;
/// No library needs as many others: a hostile file could name one a million times.
const MAX_NEEDED: usize = 1000;

/// Which parts of a file to keep, from its first bytes; `None` if it is not an ELF file.
pub fn parts(start: &[u8], size: u64) -> Option<Parts> {
    if !start.starts_with(&elf::ELFMAG) {
        return None;
    }
    if size <= MAX_WHOLE_ELF {
        return Some([0..size, 0..0, 0..0, 0..0, 0..0]);
    }
    match start.get(4).map(|class| elf::FileClass(*class)) {
        Some(elf::ELFCLASS64) => parts_of_large::<FileHeader64<Endianness>>(start),
        _ => parts_of_large::<FileHeader32<Endianness>>(start),
    }
}

fn parts_of_large<H: FileHeader<Endian = Endianness>>(start: &[u8]) -> Option<Parts> {
    let header = H::parse(start).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.e_shoff(endian).into().saturating_sub(BEFORE_SECTIONS);
    let segments = header.program_headers(endian, start).unwrap_or_default();
    let dynamic = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_DYNAMIC);
    let (offset, size) = dynamic.map(|segment| segment.file_range(endian)).unwrap_or_default();
    Some([
        0..MAX_START,
        sections..sections.saturating_add(MAX_WHOLE_ELF),
        offset..offset.saturating_add(size.min(MAX_START)),
        function_table(header, endian, start).unwrap_or_default(),
        0..0,
    ])
}

/// Where Go's function table and the build information behind it are. Go's own linker puts the section headers at the start.
fn function_table<H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    start: &[u8],
) -> Option<Range<u64>> {
    let sections = header.sections(endian, start).ok()?;
    let place = |name: &[u8]| sections.section_by_name(endian, name)?.1.file_range(endian);
    let (offset, size) = FUNCTION_TABLES.into_iter().find_map(place)?;
    let (info, length) = place(b".go.buildinfo").unwrap_or((offset, size));
    let end = info.saturating_add(length).max(offset.saturating_add(size));
    Some(offset..end.min(offset.saturating_add(MAX_FUNCTION_TABLE)))
}

/// Reads what there is to know; `None` if it is not an ELF file or contradicts itself.
pub fn read(file: &Excerpt) -> Option<Elf> {
    match elf::FileClass(*file.read_bytes_at(4, 1).ok()?.first()?) {
        elf::ELFCLASS64 => read_as::<FileHeader64<Endianness>>(file),
        _ => read_as::<FileHeader32<Endianness>>(file),
    }
}

fn read_as<H: FileHeader<Endian = Endianness>>(file: &Excerpt) -> Option<Elf> {
    let header = H::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let dynamic = dynamic(header, endian, file).map(Box::new);
    let go = build_info(header, endian, file).map(Box::new);
    // Section headers may be stripped off altogether; the loader does without.
    let is_known = dynamic.is_some() || go.is_some();
    let sections = sections(header, endian, file).or_else(|| is_known.then(Elf::default))?;
    Some(Elf { dynamic, go, ..sections })
}

/// Go's build information: from its section, or from where it was found during reading.
fn build_info<H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    file: &Excerpt,
) -> Option<GoBuild> {
    let sections = header.sections(endian, file).ok();
    let section = sections.and_then(|sections| {
        let (_, section) = sections.section_by_name(endian, b".go.buildinfo")?;
        section.file_range(endian).map(|(offset, _)| offset)
    });
    let place = section.or_else(|| file.start_of(BUILD_INFO))?;
    let segments = header.program_headers(endian, file).unwrap_or_default().iter().map(|segment| {
        let (offset, size) = segment.file_range(endian);
        build_info::Segment { address: segment.p_vaddr(endian).into(), offset, size }
    });
    build_info::read(file, place, &segments.collect::<Vec<_>>())
}

/// Machine code by crate or Go package.
fn code<'e, H: FileHeader<Endian = Endianness>>(
    sections: &SectionTable<'e, H, &'e Excerpt>,
    endian: Endianness,
    file: &'e Excerpt,
    is_rust: bool,
) -> Vec<InsideBytes> {
    let section = |name: &[u8]| sections.section_by_name(endian, name)?.1.data(endian, file).ok();
    if let Some(table) = FUNCTION_TABLES.into_iter().find_map(section) {
        return code::packages(table);
    }
    let is_go = sections.section_by_name(endian, b".go.buildinfo").is_some();
    if let Some(table) = section(b".data.rel.ro").filter(|_| is_go).and_then(code::within) {
        return code::packages(table);
    }
    let symbols = sections.symbols(endian, file, elf::SHT_SYMTAB).ok().filter(|_| is_rust);
    let Some(symbols) = symbols else { return Vec::new() };
    let functions = symbols.iter().filter(|symbol| symbol.st_type() == elf::STT_FUNC).filter_map(|symbol| {
        let (address, size) = (symbol.st_value(endian).into(), symbol.st_size(endian).into());
        let name = symbol.name(endian, symbols.strings()).ok()?;
        (size > 0).then_some(Function { address, size, name })
    });
    symbols::crates(functions.collect())
}

fn sections<H: FileHeader<Endian = Endianness>>(
    header: &H,
    endian: Endianness,
    file: &Excerpt,
) -> Option<Elf> {
    let sections = header.sections(endian, file).ok().filter(|sections| !sections.is_empty())?;
    let mut strippable: u64 = 0;
    for section in sections.iter() {
        let size: u64 = section.sh_size(endian).into();
        let is_debug =
            || sections.section_name(endian, section).is_ok_and(|name| name.starts_with(b".debug"));
        let is_loaded = section.sh_flags(endian).0 & elf::SHF_ALLOC.0 != 0;
        match section.sh_type(endian) {
            elf::SHT_SYMTAB => {
                let strings =
                    sections.section(section.link(endian)).map(|strings| strings.sh_size(endian).into());
                strippable = strippable.saturating_add(size).saturating_add(strings.unwrap_or(0));
            }
            elf::SHT_PROGBITS if !is_loaded && is_debug() => strippable = strippable.saturating_add(size),
            _ => {}
        }
    }
    let content = |name: &[u8]| sections.section_by_name(endian, name)?.1.data(endian, file).ok();
    let crates = content(b".dep-v0").and_then(crates).unwrap_or_default();
    let signed = || content(b".comment").is_some_and(|text| memchr::memmem::find(text, b"rustc ").is_some());
    let rust = !crates.is_empty() || signed();
    let code = code(&sections, endian, file, rust);
    Some(Elf { strippable, rust, crates, code, ..Elf::default() })
}

fn dynamic<H: FileHeader>(header: &H, endian: H::Endian, file: &Excerpt) -> Option<Dynamic> {
    let segments = header.program_headers(endian, file).ok()?;
    let entries = segments.iter().find_map(|segment| segment.dynamic(endian, file).ok()?)?;
    let entries = || entries.iter().take_while(|entry| entry.d_tag(endian) != elf::DT_NULL);
    let all = |tag| entries().filter(move |entry| entry.d_tag(endian) == tag);
    // Strings are given by their address in memory: the segment that is loaded there tells the place in the file.
    let address: u64 = all(elf::DT_STRTAB).next()?.d_val(endian).into();
    let start =
        segments.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD).find_map(|segment| {
            let (offset, size) = segment.file_range(endian);
            let inside =
                address.checked_sub(segment.p_vaddr(endian).into()).filter(|inside| *inside < size)?;
            offset.checked_add(inside)
        })?;
    let strings = StringTable::new(file, start, u64::MAX);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let string = |entry: &H::Dyn| text(entry.string(endian, strings).ok()?);
    let path = |tag| all(tag).next().and_then(string).filter(|path| !path.is_empty());
    let interpreter = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_INTERP);
    Some(Dynamic {
        machine: header.e_machine(endian).0,
        wide: header.is_class_64(),
        interpreter: interpreter.and_then(|segment| {
            let (offset, size) = segment.file_range(endian);
            text(file.read_bytes_at_until(offset..offset.saturating_add(size), 0).ok()?)
        }),
        needed: all(elf::DT_NEEDED).take(MAX_NEEDED).map(string).collect::<Option<_>>()?,
        soname: path(elf::DT_SONAME),
        rpath: path(elf::DT_RPATH),
        runpath: path(elf::DT_RUNPATH),
    })
}

/// The list that cargo-auditable puts into a program: JSON, packed with zlib.
fn crates(packed: &[u8]) -> Option<Vec<LinkedCrate>> {
    #[derive(Deserialize)]
    struct Audit {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        #[serde(flatten)]
        linked: LinkedCrate,
        // Crates that ran only in the build are in no program.
        #[serde(default)]
        kind: Option<String>,
    }
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(packed).take(MAX_CRATES).read_to_end(&mut json).ok()?;
    let mut packages = serde_json::from_slice::<Audit>(&json).ok()?.packages;
    packages.retain(|package| package.kind.as_deref() != Some("build"));
    let mut crates: Vec<LinkedCrate> = packages.into_iter().map(|package| package.linked).collect();
    crates.sort();
    crates.dedup();
    Some(crates)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A function table of Go 1.20.
    const GO_TABLE: &[u8] = include_bytes!("../../../tests/fuzz/go-table/go-1.20.bin");

    /// An ELF file with everything that is read; `text` is the size of its code.
    fn file(wide: bool, little: bool, text: usize) -> Vec<u8> {
        let number = |value: u64, width: usize| -> Vec<u8> {
            let bytes = value.to_le_bytes()[..width].to_vec();
            if little { bytes } else { bytes.into_iter().rev().collect() }
        };
        let (word, header, segment, section) = if wide { (8, 64, 56, 64) } else { (4, 52, 32, 40) };
        let words =
            |values: &[u64]| values.iter().flat_map(|value| number(*value, word)).collect::<Vec<u8>>();
        let address = |offset: usize| offset as u64 + 0x1000;
        let start = header + 3 * segment;
        let list = br#"{"packages":[{"name":"serde","version":"1.0"},{"name":"cc","version":"1.1","kind":"build"}]}"#;
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(list).unwrap();
        let mut sections: Vec<(&str, u64, u64, Vec<u8>)> = vec![
            ("", 0, 0, vec![]),
            (".dynstr", 3, 2, b"\0liba.so.1\0libc.so.6\0$ORIGIN/../lib\0".to_vec()),
            (".dynamic", 6, 2, words(&[1, 1, 5, address(start), 29, 21, 1, 11, 0, 0, 1, 999])),
            (".interp", 1, 2, b"/lib64/ld.so\0".to_vec()),
            (".text", 1, 2, vec![1; text]),
            (".symtab", 2, 0, vec![2; 48]),
            (".strtab", 3, 0, vec![3; 30]),
            (".debug_info", 1, 0, vec![4; 700]),
            (".dep-v0", 1, 0, zlib.finish().unwrap()),
            (".comment", 1, 0, b"rustc version 1.91.0".to_vec()),
            (".go.buildinfo", 1, 2, [build_info::MAGIC, &[8, 2], &[0; 16], b"\x06go1.19\0"].concat()),
            (".gopclntab", 1, 2, GO_TABLE.to_vec()),
            (".shstrtab", 3, 0, vec![]),
        ];
        let names: String = sections.iter().map(|(name, ..)| format!("{name}\0")).collect();
        let last = sections.len() - 1;
        sections[last].3 = names.clone().into_bytes();
        let (mut body, mut table, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (name, kind, flags, content)) in sections.iter().enumerate() {
            let name_at = names.find(&format!("{name}\0")).unwrap() as u64;
            let offset = start + body.len();
            table.extend([number(name_at, 4), number(*kind, 4)].concat());
            table.extend(words(&[*flags, 0, offset as u64, content.len() as u64]));
            // Each section is linked to the next, as symbols are to their names.
            table.extend([number(index as u64 + 1, 4), number(0, 4), words(&[0, 0])].concat());
            places.push((offset, content.len()));
            body.extend(content);
        }
        let end = start + body.len();
        let segments = [(1, (0, end)), (2, places[2]), (3, places[3])].map(|(kind, (offset, size))| {
            let (places, sizes) = ([offset as u64, address(offset), 0], [size as u64; 2]);
            let flags = number(0, 4);
            if wide {
                [number(kind, 4), flags, words(&places), words(&sizes), words(&[0])].concat()
            } else {
                [number(kind, 4), words(&places), words(&sizes), flags, words(&[0])].concat()
            }
        });
        let ident = [0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 2 - u8::from(little), 1];
        let mut out = [ident.as_slice(), &[0; 9], &number(3, 2), &number(62, 2), &number(1, 4)].concat();
        out.extend([words(&[0, header as u64, end as u64]), number(0, 4)].concat());
        let sizes = [header, segment, 3, section, sections.len(), last];
        out.extend(sizes.iter().flat_map(|size| number(*size as u64, 2)));
        [out, segments.concat(), body, table].concat()
    }

    fn read_parts(file: &[u8], parts: Parts) -> Option<Elf> {
        let mut excerpt = Excerpt::default();
        excerpt.start(parts);
        let mut at = 0;
        for chunk in file.chunks(1000) {
            excerpt.feed(chunk, at);
            at += chunk.len() as u64;
        }
        read(&excerpt)
    }

    fn read_whole(file: &[u8]) -> Option<Elf> {
        read_parts(file, parts(file, file.len() as u64)?)
    }

    #[test]
    fn everything_is_found_in_every_class_and_byte_order() {
        for (wide, little) in [(true, true), (true, false), (false, true), (false, false)] {
            let elf = read_whole(&file(wide, little, 900)).unwrap();
            assert_eq!(elf.strippable, 48 + 30 + 700, "wide {wide}, little {little}");
            assert_eq!(elf.crates, [LinkedCrate { name: "serde".into(), version: "1.0".into() }]);
            assert!(elf.rust);
            assert_eq!(elf.go.map(|go| go.version).as_deref(), Some("1.19"));
            assert_eq!(elf.code[0].name, "golang.org/x/text/unicode/norm");
            let dynamic = Dynamic {
                machine: 62,
                wide,
                interpreter: Some("/lib64/ld.so".into()),
                needed: vec!["liba.so.1".into(), "libc.so.6".into()],
                soname: None,
                rpath: None,
                runpath: Some("$ORIGIN/../lib".into()),
            };
            assert_eq!(elf.dynamic.as_deref(), Some(&dynamic));
        }
    }

    #[test]
    fn the_parts_of_a_large_file_are_enough() {
        let file = file(true, true, 200_000);
        let whole = read_whole(&file);
        let [start, end, dynamic, ..] = parts(&file, MAX_WHOLE_ELF + 1).unwrap();
        let (none, end) = (0..0, end.start.max(190_000)..end.end);
        assert_eq!(
            read_parts(&file, [0..400, end.clone(), dynamic.clone(), none.clone(), none.clone()]),
            whole
        );
        let without_sections =
            read_parts(&file, [start, 0..0, dynamic.clone(), none.clone(), none.clone()]).unwrap();
        assert_eq!(without_sections.dynamic, whole.and_then(|elf| elf.dynamic));
        let without_names = read_parts(&file, [0..64, end, 0..0, none.clone(), none.clone()]).unwrap();
        assert_eq!((without_names.strippable, without_names.dynamic), (48 + 30 + 700, None));
        assert_eq!(read_parts(&file, [0..64, 0..0, dynamic, none.clone(), none]), None);
    }

    /// Cargo does not strip tests, so this program has symbols.
    #[test]
    fn a_rust_program_with_symbols_lists_its_crates() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        for size in [program.len() as u64, MAX_WHOLE_ELF + program.len() as u64] {
            let elf = read_parts(&program, parts(&program, size).unwrap()).unwrap();
            let sum: u64 = elf.code.iter().map(|inside| inside.bytes).sum();
            assert!(elf.rust && sum > 0 && sum < program.len() as u64, "{sum} of {}", program.len());
            for name in ["contents", "serde_json", "alloc"] {
                assert!(elf.code.iter().any(|inside| inside.name == name), "no {name}: {:?}", elf.code);
            }
        }
    }

    #[test]
    fn damaged_files_do_no_harm() {
        assert_eq!(read_whole(b"\x7fELF"), None);
        assert_eq!(read_whole(b"#!/bin/sh"), None);
        let whole = file(true, true, 10);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] = 0xff;
            drop(read_whole(&damaged));
            let parts = parts(&damaged, MAX_WHOLE_ELF + 1);
            assert!(parts.iter().flatten().all(|part| part.start <= part.end));
            drop(read_whole(&whole[..at]));
        }
    }
}
