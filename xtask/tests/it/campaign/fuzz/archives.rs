//! Archives of images, their layers, and ELF files.

use std::io::Read;
use std::sync::OnceLock;

use contents::explain::explain;
use contents::facts::MAX_WHOLE_ELF;
use contents::reading::{self, ReadOptions};
use contents::scan::Scanner;
use contents::{elf, excerpt};
use engine::images::Image;
use engine::layer_tar::{self, Budget, LayerEntry, LayerEntryKind};
use engine::layers;
use fastrand::Rng;
use host::interrupt::Interrupt;
use serde_json::json;

/// Reads in pieces of random length, like a pipe.
struct Pieces<'b> {
    rest: &'b [u8],
    rng: Rng,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = self.rest.len().min(buffer.len()).min(2000);
        let length = if most == 0 { 0 } else { self.rng.usize(1..=most) };
        let (piece, rest) = self.rest.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.rest = rest;
        Ok(length)
    }
}

/// Checks that an image's bytes add up, and that `analyze` and `compare` agree on each layer's size.
pub fn archive(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    static SCANNER: OnceLock<Scanner> = OnceLock::new();
    let scanner = SCANNER.get_or_init(|| {
        Scanner::new(&[("KEY".to_owned(), b"correct horse".to_vec())]).expect("one value can be searched for")
    });
    let options = ReadOptions { scanner: rng.bool().then_some(scanner), packed: false };
    let pieces = Pieces { rest: bytes, rng: rng.fork() };
    let Ok(read) = reading::read(pieces, &|_| false, options, &Interrupt::default()) else {
        return Ok(false);
    };
    let mut ids: Vec<&String> = read.keys().collect();
    ids.sort();
    let image: Image =
        serde_json::from_value(json!({"Id": "x", "RootFS": {"Layers": ids}, "Config": {"WorkingDir": "/a"}}))
            .map_err(|error| error.to_string())?;
    let facts: Vec<_> = ids.iter().map(|id| &read[*id].facts).collect();
    let contents = explain("x", &image, &facts).map_err(|error| format!("{error:#}"))?;
    let sizes =
        layers::read_saved(bytes, image.layers()).map_err(|error| format!("not read twice: {error:#}"))?;
    let found: Vec<_> = contents.layers.iter().map(|layer| (&layer.diff_id, layer.bytes)).collect();
    let expected: Vec<_> = sizes.iter().map(|layer| (&layer.diff_id, layer.bytes)).collect();
    if found == expected { Ok(!found.is_empty()) } else { Err(format!("{found:?}\n{expected:?}")) }
}

/// Checks that paths stay within the root, that files have their declared size, and that chunk boundaries do not matter.
pub fn layer(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    let whole = entries(&mut { bytes });
    let pieces = entries(&mut Pieces { rest: bytes, rng: rng.fork() });
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) if whole == pieces => {
            for (entry, read) in &whole {
                if !entry.path.is_empty() && entry.path.split('/').any(|part| matches!(part, "" | "." | ".."))
                {
                    return Err(format!("{entry:?} may be outside of the root"));
                }
                if matches!(entry.kind, LayerEntryKind::File { bytes, readable: true } if bytes != *read) {
                    return Err(format!("{entry:?} has {read} bytes"));
                }
            }
            Ok(!whole.is_empty())
        }
        (Err(_), Err(_)) => Ok(false),
        (whole, pieces) => Err(format!("{whole:?}\nin pieces: {pieces:?}")),
    }
}

/// The entries of a layer, each with the bytes that were read.
fn entries(stream: &mut dyn Read) -> anyhow::Result<Vec<(LayerEntry, u64)>> {
    let mut found = Vec::new();
    layer_tar::read(stream, &mut Budget::default(), &mut |entry, content| {
        found.push((entry, std::io::copy(content, &mut std::io::sink())?));
        Ok(())
    })?;
    Ok(found)
}

/// Checks that chunk boundaries do not matter. Of a large file, only parts are kept.
pub fn elf(bytes: &[u8], rng: &mut Rng) -> Result<bool, String> {
    let size = if rng.u8(..4) == 0 { MAX_WHOLE_ELF + 1 } else { bytes.len() as u64 };
    let Some(parts) = elf::parts(bytes, size) else { return Ok(false) };
    if parts.iter().any(|part| part.start > part.end) {
        return Err(format!("{parts:?}"));
    }
    let length = rng.usize(1..=4096);
    let read = |length: usize| {
        let mut excerpt = excerpt::Excerpt::default();
        excerpt.start(parts.clone());
        let mut at = 0;
        for chunk in bytes.chunks(length) {
            excerpt.feed(chunk, at);
            at += chunk.len() as u64;
        }
        elf::read(&excerpt)
    };
    let (whole, chunks) = (read(bytes.len()), read(length));
    if whole == chunks {
        Ok(whole.is_some())
    } else {
        Err(format!("{whole:?}\nin chunks of {length}: {chunks:?}"))
    }
}
