//! Reads the layers of an image while they stream past: sizes, hashes, metadata, ELF files, secrets.

use host::failure::Failure;
use std::collections::HashMap;
use std::io::Read;

use anyhow::{Result, bail};
use memchr::memmem;
use xxhash_rust::xxh3::Xxh3;

use crate::code::build_info;
use crate::excerpt::{Excerpt, Parts};
use crate::facts::{Elf, EntryKind, LayerEntry, LayerFacts, MAX_WHOLE_ELF, Metadata, MetadataFile};
use crate::packages::{self, PackageFile, Room};
use crate::packing::Packing;
use crate::scan::{FoundSecret, Scanner, Sums};
use crate::{elf, metadata, python_imports};
use engine::archive::{self, SavedLayer, Verify};
use engine::layer_tar::{self, Budget, LayerEntryKind};
use engine::stored_image::{ReadImage, StoredImage};
use host::interrupt::Interrupt;

/// Most bytes of all metadata files of an archive that are read.
const MAX_METADATA: u64 = 50_000_000;

/// Maximum size of all package databases and manifests of an archive together.
const MAX_PACKAGES: u64 = 4_000_000_000;

/// Larger files get no checksums: a file is kept in memory until it is scanned.
const MAX_SUMMED: u64 = 32_000_000;

/// What to learn of layers beyond [`LayerFacts`]; each takes time.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadOptions<'s> {
    /// Look for secrets.
    pub scanner: Option<&'s Scanner>,
    /// Compress each layer to find its packed size.
    pub packed: bool,
}

/// One layer, read.
#[derive(Debug, Default)]
pub struct ReadLayer {
    /// What is in it.
    pub facts: LayerFacts,
    /// Secrets in it; `None` without a scanner.
    pub secrets: Option<Vec<FoundSecret>>,
    /// Its packed bytes, if requested.
    pub packed: Option<u64>,
}

/// Reads the layers of an engine's archive by digest. `skip` gets the name of a layer in the archive.
///
/// # Errors
/// When the archive is damaged or hostile, or the user interrupts.
pub fn read(
    archive: impl Read,
    skip: &dyn Fn(&str) -> bool,
    options: ReadOptions<'_>,
    interrupt: &Interrupt,
) -> Result<HashMap<String, ReadLayer>> {
    let mut reader = Reader::new(options, interrupt);
    let index = archive::read(archive, Verify::Nothing, &mut |name, layer| match skip(name) {
        true => Ok(()),
        false => reader.add(name, layer),
    })?;
    Ok(reader.by_digest(index.layers()?))
}

/// Reads an image outside of the engine, and its layers by digest. `skip` gets the digest of a layer where it is known before
/// the layer is read, else a name.
///
/// # Errors
/// When the image is damaged or hostile or has a wrong digest, or the user interrupts.
pub fn read_stored(
    stored: &StoredImage,
    skip: &dyn Fn(&str) -> bool,
    options: ReadOptions<'_>,
    interrupt: &Interrupt,
) -> Result<(ReadImage, HashMap<String, ReadLayer>)> {
    let mut reader = Reader::new(options, interrupt);
    let read = stored.read(skip, &mut |name, layer| reader.add(name, layer))?;
    let layers = reader.by_digest(read.layers.clone());
    Ok((read, layers))
}

struct Reader<'s> {
    /// What was read, by name.
    layers: HashMap<String, ReadLayer>,
    packed: bool,
    interrupt: &'s Interrupt,
    budget: Budget,
    metadata_budget: u64,
    packages_budget: u64,
    room: Room,
    buffer: Vec<u8>,
    excerpt: Excerpt,
    scanner: Option<&'s Scanner>,
    /// Secrets in the current layer.
    secrets: Vec<FoundSecret>,
    /// The current file, for its checksums.
    whole: Vec<u8>,
}

impl<'s> Reader<'s> {
    fn new(options: ReadOptions<'s>, interrupt: &'s Interrupt) -> Reader<'s> {
        Reader {
            layers: HashMap::new(),
            packed: options.packed,
            interrupt,
            budget: Budget::default(),
            metadata_budget: MAX_METADATA,
            packages_budget: MAX_PACKAGES,
            room: Room::default(),
            buffer: vec![0; 1 << 17],
            excerpt: Excerpt::default(),
            scanner: options.scanner,
            secrets: Vec::new(),
            whole: Vec::new(),
        }
    }

    fn add(&mut self, name: &str, layer: &mut dyn Read) -> Result<()> {
        let mut layer = Packing::of(layer, self.packed);
        let facts = self.layer(&mut layer)?;
        let secrets = self.scanner.map(|_| std::mem::take(&mut self.secrets));
        self.layers.insert(name.to_owned(), ReadLayer { facts, secrets, packed: layer.finish()? });
        Ok(())
    }

    /// Images of one archive share layers.
    fn by_digest(mut self, layers: Vec<SavedLayer>) -> HashMap<String, ReadLayer> {
        let named = layers.into_iter();
        named.filter_map(|named| Some((named.diff_id, self.layers.remove(&named.name)?))).collect()
    }

    fn layer(&mut self, stream: &mut dyn Read) -> Result<LayerFacts> {
        let mut facts = LayerFacts::default();
        let mut budget = self.budget.clone();
        layer_tar::read(stream, &mut budget, &mut |item, content| {
            if self.interrupt.is_set() {
                bail!(Failure::interrupted());
            }
            let layer_tar::LayerEntry { path, mode, owner, kind, .. } = item;
            let named = self.scanner.map(|scanner| scanner.known_in(&path)).unwrap_or_default();
            let found = |secret| FoundSecret { path: path.clone(), secret, sums: None };
            self.secrets.extend(named.into_iter().map(found));
            let kind = match kind {
                LayerEntryKind::File { bytes, readable } if readable && bytes > 0 => {
                    let (hash, elf) = self.file(&path, bytes, content, &mut facts.metadata)?;
                    EntryKind::File { bytes, hash: Some(hash), elf: elf.map(Box::new) }
                }
                LayerEntryKind::File { bytes, .. } => EntryKind::File { bytes, hash: None, elf: None },
                LayerEntryKind::HardLink(target) => EntryKind::HardLink(target),
                LayerEntryKind::Symlink(target) => EntryKind::Symlink(target),
                LayerEntryKind::Folder => EntryKind::Folder,
                LayerEntryKind::Other(_) => EntryKind::Other,
                LayerEntryKind::Whiteout => EntryKind::Whiteout,
                LayerEntryKind::Opaque => EntryKind::Opaque,
            };
            facts.entries.push(LayerEntry { path, mode, owner, kind });
            Ok(())
        })?;
        self.budget = budget;
        facts.entries.shrink_to_fit();
        Ok(facts)
    }

    /// Hashes a file, scans it for secrets, and parses what may be metadata or an ELF file.
    fn file(
        &mut self,
        path: &str,
        bytes: u64,
        content: &mut dyn Read,
        metadata: &mut Vec<MetadataFile>,
    ) -> Result<(u128, Option<Elf>)> {
        let is_metadata = metadata::is_read(path) && bytes <= metadata::MAX_BYTES.min(self.metadata_budget);
        let packages = PackageFile::at(path).filter(|_| bytes <= self.packages_budget);
        let mut hash = Xxh3::new();
        let mut scan = self.scanner.map(|scanner| scanner.start(path, bytes));
        let is_source = python_imports::is_source(path) && bytes <= python_imports::MAX_BYTES;
        let is_kept = scan.is_some() && bytes <= MAX_SUMMED || is_source;
        self.whole.clear();
        let (mut at, mut is_elf, mut script) = (0_u64, false, None);
        self.excerpt.start(Parts::default());
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
            if is_kept {
                self.whole.extend_from_slice(chunk);
            }
            if at == 0 {
                let parts = elf::parts(chunk, bytes);
                is_elf = parts.is_some();
                let whole = [0..bytes, 0..0, 0..0, 0..0, 0..0];
                let kept = parts
                    .or_else(|| is_metadata.then_some(whole))
                    .or_else(|| packages.map(|kind| kind.parts(bytes)));
                if let Some(parts) = kept {
                    self.excerpt.start(parts);
                }
                script = metadata::script(&chunk[..n.min(metadata::MAX_SHEBANG)]);
            }
            // In a file that is not kept whole, Go's build information may be anywhere.
            if is_elf
                && bytes > MAX_WHOLE_ELF
                && let Some(place) = memmem::rfind(chunk, build_info::MAGIC)
                && place % 16 == 0
            {
                let place = at + place as u64;
                self.excerpt.also(elf::BUILD_INFO, place..place + build_info::MAX_TEXT as u64);
            }
            self.excerpt.feed(chunk, at);
            at += n as u64;
        }
        let mut add = |found| metadata.push(MetadataFile { path: path.to_owned(), metadata: found });
        if is_metadata {
            self.metadata_budget -= bytes;
            metadata::read(path, self.excerpt.bytes()).map(&mut add);
        }
        if let Some(kind) = packages.filter(|_| !is_elf && !is_metadata) {
            self.packages_budget -= bytes;
            packages::read(kind, path, bytes, &self.excerpt, &mut self.room).into_iter().for_each(&mut add);
        }
        if is_source {
            let imports = python_imports::of(&self.whole);
            (!imports.is_empty()).then_some(Metadata::PythonImports(imports)).map(&mut add);
        }
        script.map(Metadata::Script).map(add);
        if let Some(scan) = scan {
            let secrets = scan.finish();
            let sums = (is_kept && !secrets.is_empty()).then(|| Sums::of(&self.whole));
            let found = |secret| FoundSecret { path: path.to_owned(), secret, sums: sums.clone() };
            self.secrets.extend(secrets.into_iter().map(found));
        }
        let mut elf = is_elf.then(|| elf::read(&self.excerpt)).flatten();
        if let Some(elf) = &mut elf
            && !self.room.names(elf.code.len() + elf.go.as_ref().map_or(0, |go| go.modules.len()))
        {
            (elf.code, elf.go) = (Vec::new(), None);
        }
        Ok((hash.digest128(), elf))
    }
}

/// Fills a buffer as far as possible: a pipe hands over pieces of any length.
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
