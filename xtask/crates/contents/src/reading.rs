//! Reads layers as they stream past: sizes, hashes, what package managers and programs say.

use host::failure::Failure;
use std::collections::HashMap;
use std::io::Read;

use anyhow::{Result, bail};
use xxhash_rust::xxh3::Xxh3;

use crate::dynamic::Large;
use crate::elf;
use crate::elf::Window;
use crate::facts::{Elf, Entry, Kind, LayerFacts, Note, Says};
use crate::notes;
use crate::packing::Packing;
use crate::scan::{Found, Scanner};
use engine::archive;
use engine::layer_tar;
use engine::layer_tar::{Budget, LayerEntry, LayerEntryKind};
use host::interrupt::Interrupt;

/// ELF files up to this size are looked at whole; of larger ones the end, where section headers stand.
pub const MOST_WHOLE: u64 = 32_000_000;
/// What may stand before the section headers of a large one: their names.
const BEFORE_HEADERS: u64 = 1 << 16;
/// Bytes of all files that are read for what they say.
const MOST_NOTES: u64 = 50_000_000;

/// What is wanted of layers beyond what any report needs: it costs time, so it is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct More<'s> {
    /// Look for secrets.
    pub scanner: Option<&'s Scanner>,
    /// Pack each layer, to know how many bytes travel.
    pub packed: bool,
}

/// One layer, read.
#[derive(Debug, Default)]
pub struct Learned {
    /// What is in it.
    pub facts: LayerFacts,
    /// Secrets in it; none where nobody looked.
    pub found: Option<Vec<Found>>,
    /// Its packed bytes; none where nobody asked.
    pub packed: Option<u64>,
}

/// Reads the layers of an archive; `skip` says of which, by their name in it, enough is known.
///
/// # Errors
/// When the archive is damaged or hostile, or the person interrupts.
pub fn read(
    archive: impl Read,
    skip: &dyn Fn(&str) -> bool,
    more: More<'_>,
    interrupt: &Interrupt,
) -> Result<HashMap<String, Learned>> {
    let mut reader = Reader {
        budget: Budget::default(),
        notes: MOST_NOTES,
        buffer: vec![0; 1 << 17],
        whole: Vec::new(),
        large: Large::default(),
        more,
        found: Vec::new(),
    };
    let mut read = HashMap::new();
    let index = archive::read(archive, &mut |name, layer| {
        if skip(name) {
            return Ok(());
        }
        let mut layer = Packing::of(layer, more.packed);
        let facts = reader.layer(&mut layer, interrupt)?;
        let found = more.scanner.map(|_| std::mem::take(&mut reader.found));
        read.insert(name.to_owned(), Learned { facts, found, packed: layer.finish()? });
        Ok(())
    })?;
    let mut by_digest = HashMap::new();
    for layer in index.layers()? {
        // Images of one archive share layers.
        if let Some(learned) = read.remove(&layer.name) {
            by_digest.insert(layer.diff_id, learned);
        }
    }
    Ok(by_digest)
}

struct Reader<'s> {
    budget: Budget,
    notes: u64,
    buffer: Vec<u8>,
    whole: Vec<u8>,
    /// What is kept of a large ELF file besides.
    large: Large,
    more: More<'s>,
    /// Secrets in the layer at hand.
    found: Vec<Found>,
}

impl Reader<'_> {
    fn layer(&mut self, stream: &mut dyn Read, interrupt: &Interrupt) -> Result<LayerFacts> {
        let mut facts = LayerFacts::default();
        let mut budget = self.budget.clone();
        layer_tar::read(stream, &mut budget, &mut |item, content| {
            if interrupt.is_set() {
                bail!(Failure::interrupted());
            }
            let LayerEntry { path, mode, kind } = item;
            let kind = match kind {
                LayerEntryKind::File { bytes, readable } => {
                    let known = if readable {
                        self.file(&path, bytes, content, &mut facts.notes)?
                    } else {
                        (None, None)
                    };
                    Kind::File { bytes, hash: known.0, elf: known.1 }
                }
                LayerEntryKind::HardLink(target) => Kind::HardLink(target),
                LayerEntryKind::Symlink(target) => Kind::Symlink(target),
                LayerEntryKind::Folder => Kind::Folder,
                LayerEntryKind::Other => Kind::Other,
                LayerEntryKind::Whiteout => Kind::Whiteout,
                LayerEntryKind::Opaque => Kind::Opaque,
            };
            facts.entries.push(Entry { path, mode, kind });
            Ok(())
        })?;
        self.budget = budget;
        facts.entries.shrink_to_fit();
        Ok(facts)
    }

    /// Hashes a file, and looks into it where it may say something.
    fn file(
        &mut self,
        path: &str,
        bytes: u64,
        content: &mut dyn Read,
        notes: &mut Vec<Note>,
    ) -> Result<(Option<u128>, Option<Box<Elf>>)> {
        if bytes == 0 {
            return Ok((None, None));
        }
        let says = notes::is_read(path) && bytes <= notes::MOST.min(self.notes);
        let mut hash = Xxh3::new();
        let (mut head, mut offset, mut at, mut keep) = (Vec::new(), 0, 0_u64, says);
        let mut scan = self.more.scanner.map(Scanner::start);
        self.whole.clear();
        self.large.clear();
        loop {
            let n = fill(content, &mut self.buffer)?;
            if n == 0 {
                break;
            }
            let chunk = &self.buffer[..n];
            hash.update(chunk);
            if let Some(scan) = &mut scan {
                scan.feed(chunk);
            }
            if at == 0 {
                head.extend_from_slice(&chunk[..chunk.len().min(64)]);
                if let Some(sections) = elf::sections_at(&head) {
                    keep = true;
                    if bytes > MOST_WHOLE {
                        offset = sections.saturating_sub(BEFORE_HEADERS);
                        self.large.start(chunk);
                    }
                }
            }
            // A chunk that reaches into the part that is kept.
            let from = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
            if keep && from < chunk.len() && self.whole.len() as u64 <= MOST_WHOLE {
                self.whole.extend_from_slice(&chunk[from..]);
            }
            self.large.feed(chunk, at);
            at += n as u64;
        }
        if says {
            self.notes -= bytes;
            notes.extend(notes::read(path, &self.whole).map(|says| Note { path: path.to_owned(), says }));
        }
        if let Some(scan) = scan {
            let secrets = scan.finish().into_iter();
            self.found.extend(secrets.map(|secret| Found { path: path.to_owned(), secret }));
        }
        let runs = notes::script(&head).map(Says::Script);
        notes.extend(runs.map(|says| Note { path: path.to_owned(), says }));
        let dynamic = self.large.read((offset, &self.whole));
        let mut found = elf::read(Window { head: &head, offset, bytes: &self.whole });
        if let Some(dynamic) = dynamic {
            // Section headers may be stripped off altogether; the loader does without.
            found.get_or_insert_default().dynamic = Some(Box::new(dynamic));
        }
        Ok((Some(hash.digest128()), found.map(Box::new)))
    }
}

/// Fills a buffer as far as there is something: a pipe hands over pieces of any length.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}
