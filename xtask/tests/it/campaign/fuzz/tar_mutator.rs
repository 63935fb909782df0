//! Mutates tar archives and keeps header checksums valid. Also mutates the content of entries, including nested and compressed
//! archives.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::mutator::Mutator;

/// Size of a header, and of the blocks that content is padded to (POSIX pax, "ustar Interchange Format").
const BLOCK: usize = 512;
/// Ranges of header fields: name, mode, uid, gid, size, time, type, link name, magic, user, group, device, prefix; and GNU's
/// sparse map and real size.
const FIELDS: [(usize, usize); 13] = [
    (0, 100),
    (100, 8),
    (124, 12),
    (124, 12),
    (136, 12),
    (156, 1),
    (156, 1),
    (157, 100),
    (257, 8),
    (329, 16),
    (345, 155),
    (386, 96),
    (482, 13),
];
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPES: &[u8] = b"0123456789gxLKSDMNV\0AX";
const NAMES: [&str; 16] = [
    "",
    "/",
    "..",
    "../a",
    "a/../../b",
    "/etc/passwd",
    "./",
    "a//b/./c",
    ".wh.a",
    ".wh..",
    "a/.wh...",
    "a/.wh..wh..opq",
    ".wh.",
    "manifest.json",
    "var/lib/dpkg/status",
    "\u{e9}\0b",
];
const SIZES: [&str; 10] = [
    "00000000000\0",
    "00000000001\0",
    "00000001000\0",
    "77777777777\0",
    "777777777777",
    "-0000000001\0",
    "           \0",
    "\u{0}",
    "9",
    "00000000777 ",
];

/// One entry: its header and its content without padding.
#[derive(Debug, Clone)]
struct Entry {
    header: Vec<u8>,
    content: Vec<u8>,
}

/// Changes an archive.
pub fn change(bytes: &mut Vec<u8>, mutator: &mut Mutator<'_>) {
    let mut entries = entries(bytes);
    if entries.is_empty() || mutator.rng.u8(..8) == 0 {
        return mutator.change(bytes);
    }
    for _ in 0..mutator.changes() {
        once(&mut entries, mutator);
    }
    *bytes = joined(&entries);
    match mutator.rng.u8(..16) {
        0 => mutator.change(bytes),
        1 => bytes.truncate(mutator.rng.usize(..=bytes.len())),
        _ => {}
    }
}

fn once(entries: &mut Vec<Entry>, mutator: &mut Mutator<'_>) {
    if entries.is_empty() {
        return;
    }
    let index = mutator.rng.usize(..entries.len());
    match mutator.rng.u8(..12) {
        0 => drop(entries.remove(index)),
        1 if entries.len() < 100 => {
            let copy = entries[index].clone();
            entries.insert(mutator.rng.usize(..=entries.len()), copy);
        }
        2 => {
            let other = mutator.rng.usize(..entries.len());
            entries.swap(index, other);
        }
        3 => {
            let others = self::entries(mutator.file());
            if !others.is_empty() {
                let other = others[mutator.rng.usize(..others.len())].clone();
                entries.insert(index, other);
            }
        }
        4..=7 => field(&mut entries[index].header, mutator),
        _ => content(&mut entries[index], mutator),
    }
}

/// Changes a field of a header and corrects the checksum.
fn field(header: &mut [u8], mutator: &mut Mutator<'_>) {
    let (start, width) = FIELDS[mutator.rng.usize(..FIELDS.len())];
    let field = &mut header[start..start + width];
    let text = match (start, mutator.rng.u8(..4)) {
        (_, 0) => {
            let at = mutator.rng.usize(..width);
            field[at] = mutator.rng.u8(..);
            None
        }
        // A number in base 256 (GNU tar manual, "Basic Tar Format").
        (124 | 482, 1) => {
            field.fill(if mutator.rng.bool() { 0xff } else { 0 });
            field[0] = 0x80;
            field[width - 1] = mutator.rng.u8(..);
            field[mutator.rng.usize(1..width)] = mutator.rng.u8(..);
            None
        }
        (156, _) => {
            field[0] = TYPES[mutator.rng.usize(..TYPES.len())];
            None
        }
        (0 | 157 | 345, _) => Some(NAMES[mutator.rng.usize(..NAMES.len())]),
        _ => Some(SIZES[mutator.rng.usize(..SIZES.len())]),
    };
    if let Some(text) = text {
        let length = text.len().min(width);
        field.fill(0);
        field[..length].copy_from_slice(&text.as_bytes()[..length]);
    }
    seal(header);
}

/// Sets a header's checksum.
fn seal(header: &mut [u8]) {
    header[CHECKSUM].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// Changes the content of an entry and, in most cases, updates the size in its header.
fn content(entry: &mut Entry, mutator: &mut Mutator<'_>) {
    if let Some(packing) = Packing::of(&entry.content) {
        packed(packing, &mut entry.content, mutator);
    } else if entry.content.get(257..262) == Some(b"ustar") {
        change(&mut entry.content, mutator);
    } else {
        mutator.change(&mut entry.content);
    }
    if mutator.rng.u8(..16) > 0 {
        entry.header[124..136].copy_from_slice(format!("{:011o}\0", entry.content.len()).as_bytes());
        seal(&mut entry.header);
    }
}

/// How a layer is packed.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    fn of(bytes: &[u8]) -> Option<Packing> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Packing::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
            _ => None,
        }
    }

    fn unpack(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut unpacked = Vec::new();
        // The corpus files are small, also when decompressed.
        let read = match self {
            Packing::Gzip => MultiGzDecoder::new(bytes).take(1 << 20).read_to_end(&mut unpacked).ok(),
            Packing::Zstd => StreamingDecoder::new(bytes)
                .ok()
                .and_then(|it| it.take(1 << 20).read_to_end(&mut unpacked).ok()),
        };
        read.map(|_| unpacked)
    }

    fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(bytes).expect("memory can be written to");
                encoder.finish().expect("memory can be written to")
            }
            Packing::Zstd => compress_to_vec(bytes, CompressionLevel::Fastest),
        }
    }
}

/// Mutates compressed bytes or their content, sometimes split into two members or frames (RFC 1952, 2.2; RFC 8878, 3).
fn packed(packing: Packing, bytes: &mut Vec<u8>, mutator: &mut Mutator<'_>) {
    if mutator.rng.u8(..3) == 0 {
        return mutator.change(bytes);
    }
    let Some(mut inner) = packing.unpack(bytes) else { return };
    change(&mut inner, mutator);
    let at = if mutator.rng.u8(..8) == 0 { mutator.rng.usize(..=inner.len()) } else { inner.len() };
    *bytes = packing.pack(&inner[..at]);
    if at < inner.len() {
        bytes.extend(packing.pack(&inner[at..]));
    }
}

/// The entries of an archive, up to the first damage.
fn entries(bytes: &[u8]) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + BLOCK).filter(|header| &header[257..262] == b"ustar") {
        let digits = String::from_utf8_lossy(&header[124..135]).into_owned();
        let Ok(size) = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8) else { break };
        let Some(content) = bytes.get(at + BLOCK..).and_then(|rest| rest.get(..size)) else { break };
        found.push(Entry { header: header.to_vec(), content: content.to_vec() });
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
    found
}

fn joined(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Entry { header, content } in entries {
        bytes.extend(header);
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

#[test]
fn archives_are_taken_apart_and_joined_again() {
    for format in ["archive", "packed", "layer"] {
        for file in super::corpus::of(format) {
            let entries = entries(&file);
            assert!(!entries.is_empty(), "{format}");
            assert_eq!(
                joined(&entries).escape_ascii().to_string(),
                file.escape_ascii().to_string(),
                "{format}"
            );
        }
    }
}
