//! The tar of one layer, entry by entry, as the OCI image specification reads it: files, links, and the marks by which a
//! layer deletes what lower layers hold. Nothing of it is ever written anywhere, and nothing in it is believed: names that
//! lead out, sizes that nobody has and endless headers are errors.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use anyhow::{Context, Result, bail};

/// What a file's bytes count: its size as a container sees it, holes included.
const MOST_BYTES: u64 = 1_000_000_000_000;
/// Entries of one archive.
const MOST_ENTRIES: u64 = 400_000;
/// Bytes of all names in one archive.
const MOST_NAMES: u64 = 50_000_000;
/// Linux's own limit (PATH_MAX).
const LONGEST_NAME: usize = 4096;
/// What headers of one entry may take: long names and extended attributes.
const MOST_HEADER: u64 = 1 << 20;

/// What is left of the limits; one for a whole archive, so that many small lies are as little use as a large one.
#[derive(Debug, Clone)]
pub struct Budget {
    bytes: u64,
    entries: u64,
    names: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { bytes: MOST_BYTES, entries: MOST_ENTRIES, names: MOST_NAMES }
    }
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// From the image's root, without slashes at its ends; empty for the root itself.
    pub path: String,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// What it is.
    pub kind: ItemKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemKind {
    /// A regular file.
    File {
        /// Unpacked bytes.
        bytes: u64,
        /// Whether the content can be read from the stream: that of sparse files stands there in pieces, and is not.
        readable: bool,
    },
    /// Another name for a file, by that file's path.
    HardLink(String),
    /// A symbolic link, with what it says.
    Symlink(String),
    /// A folder.
    Folder,
    /// A device or a pipe.
    Other,
    /// The path is deleted from lower layers.
    Whiteout,
    /// All that lower layers hold in this folder is deleted.
    Opaque,
}

/// Reads the tar of a layer and hands each entry over, a regular file with its content.
///
/// # Errors
/// When the tar is damaged, cut off or hostile, and what `each` returns.
pub fn read(
    stream: &mut dyn Read,
    budget: &mut Budget,
    each: &mut dyn FnMut(Item, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let allowance = Rc::new(Cell::new(MOST_HEADER));
    let mut archive = tar::Archive::new(Guarded { inner: stream, allowance: Rc::clone(&allowance) });
    let mut last = String::new();
    for entry in archive.entries().context("its tar cannot be read")? {
        let mut entry = entry.with_context(|| after(&last))?;
        budget.entries = match budget.entries.checked_sub(1) {
            Some(left) => left,
            None => bail!("it has more than {MOST_ENTRIES} entries, and no image is read that has"),
        };
        let raw = entry.header().entry_size().unwrap_or(u64::MAX);
        let Some(item) = item_of(&mut entry, budget).with_context(|| after(&last))? else {
            allowance.set(MOST_HEADER.saturating_add(entry.size()));
            continue;
        };
        last.clone_from(&item.path);
        match item.kind {
            ItemKind::File { bytes, readable: true } => {
                allowance.set(u64::MAX);
                let mut counted = Counted { inner: &mut entry, bytes: 0 };
                each(item, &mut counted)?;
                io::copy(&mut counted, &mut io::sink()).with_context(|| format!("within {last}"))?;
                if counted.bytes != bytes {
                    bail!("{last} claims {bytes} bytes, and the layer ends after {}", counted.bytes);
                }
                allowance.set(MOST_HEADER);
            }
            _ => {
                // Whatever body it has is passed over on the way to the next entry.
                allowance.set(MOST_HEADER.saturating_add(raw));
                each(item, &mut io::empty())?;
            }
        }
    }
    Ok(())
}

fn after(last: &str) -> String {
    if last.is_empty() { "its tar is damaged".to_owned() } else { format!("its tar is damaged after {last}") }
}

/// What an entry is; `None` for one that says nothing about files.
fn item_of<R: Read>(entry: &mut tar::Entry<'_, R>, budget: &mut Budget) -> Result<Option<Item>> {
    let header = entry.header();
    let (mode, kind) = (header.mode().unwrap_or(0) & 0o7777, header.entry_type());
    let sparse = sparse_by_pax(entry)?;
    let name = match &sparse {
        Some(Sparse { name: Some(name), .. }) => name.clone(),
        _ => text(&entry.path_bytes()),
    };
    let path = clean(&name, "an entry", budget)?;
    let target =
        |entry: &tar::Entry<'_, R>| entry.link_name_bytes().map(|bytes| text(&bytes)).unwrap_or_default();
    let kind = if kind.is_gnu_sparse() || sparse.is_some() {
        let bytes = sparse.map_or(entry.size(), |sparse| sparse.bytes);
        claim(bytes, &path, budget)?;
        ItemKind::File { bytes, readable: false }
    } else if kind.is_file() || kind.is_contiguous() {
        match mark(&path) {
            Some(item) => return Ok(Some(item)),
            None => claim(entry.size(), &path, budget)?,
        }
        ItemKind::File { bytes: entry.size(), readable: true }
    } else if kind.is_hard_link() {
        ItemKind::HardLink(clean(&target(entry), &format!("the hard link {path}"), budget)?)
    } else if kind.is_symlink() {
        let target = target(entry);
        spend(&target, budget)?;
        ItemKind::Symlink(target)
    } else if kind.is_dir() {
        ItemKind::Folder
    } else if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
        ItemKind::Other
    } else {
        return Ok(None);
    };
    Ok(Some(Item { path, mode, kind }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn claim(bytes: u64, path: &str, budget: &mut Budget) -> Result<()> {
    match budget.bytes.checked_sub(bytes) {
        Some(left) => budget.bytes = left,
        None => bail!(
            "{path} claims {bytes} bytes: with what stands before it more than 1TB, and no image is read that has it"
        ),
    }
    Ok(())
}

/// Deletion marks (OCI image specification, "Whiteouts").
fn mark(path: &str) -> Option<Item> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let hidden = name.strip_prefix(".wh.")?;
    if hidden == ".wh..opq" {
        return Some(Item { path: folder.to_owned(), mode: 0, kind: ItemKind::Opaque });
    }
    // Other names of this form are aufs's own and delete nothing.
    if hidden.is_empty() || hidden.starts_with(".wh.") {
        return None;
    }
    let path = if folder.is_empty() { hidden.to_owned() } else { format!("{folder}/{hidden}") };
    Some(Item { path, mode: 0, kind: ItemKind::Whiteout })
}

/// A path from the image's root in one spelling.
fn clean(name: &str, whose: &str, budget: &mut Budget) -> Result<String> {
    spend(name, budget)?;
    let trimmed = name.trim_end_matches('/');
    if name.starts_with('/') && !trimmed.is_empty() {
        bail!(
            "{whose} has the absolute path {name}: no builder writes that, so nothing in the image can be trusted"
        );
    }
    let mut path = String::with_capacity(trimmed.len());
    for part in trimmed.split('/') {
        match part {
            "" | "." => {}
            ".." => bail!(
                "{whose} leads out by `..`: {name}: no builder writes that, so nothing in the image can be trusted"
            ),
            part => {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(part);
            }
        }
    }
    Ok(path)
}

fn spend(name: &str, budget: &mut Budget) -> Result<()> {
    if name.len() > LONGEST_NAME {
        bail!("a name in it has {} characters, and Linux has no files of such names", name.len());
    }
    match budget.names.checked_sub(name.len() as u64) {
        Some(left) => budget.names = left,
        None => bail!(
            "the names in it are longer than {MOST_NAMES} bytes in all, and no image is read that has that"
        ),
    }
    Ok(())
}

/// What GNU tar writes in pax headers of a sparse file (GNU tar manual, "Storing Sparse Files").
struct Sparse {
    name: Option<String>,
    bytes: u64,
}

fn sparse_by_pax<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Option<Sparse>> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok(None) };
    let (mut name, mut bytes, mut is_sparse) = (None, None, false);
    for extension in extensions {
        let extension = extension.context("a pax header")?;
        match extension.key_bytes() {
            b"GNU.sparse.name" => name = Some(text(extension.value_bytes())),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => bytes = Some(text(extension.value_bytes())),
            b"GNU.sparse.major" | b"GNU.sparse.map" | b"GNU.sparse.numblocks" => is_sparse = true,
            _ => {}
        }
    }
    match bytes {
        Some(bytes) if is_sparse || name.is_some() => {
            let bytes = bytes.parse().with_context(|| format!("a sparse file of `{bytes}` bytes"))?;
            Ok(Some(Sparse { name, bytes }))
        }
        _ => Ok(None),
    }
}

/// Fails when headers take more than their allowance: the tar crate keeps them whole in memory.
struct Guarded<'a> {
    inner: &'a mut dyn Read,
    allowance: Rc<Cell<u64>>,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.get();
        if left == 0 {
            return Err(io::Error::other("the headers of one entry are longer than a megabyte"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.inner.read(&mut buffer[..most])?;
        if left != u64::MAX {
            self.allowance.set(left - n as u64);
        }
        Ok(n)
    }
}

/// Counts what was really there: the tar crate takes the end of a stream for the end of an entry.
struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }
}
