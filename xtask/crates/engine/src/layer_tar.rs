//! The tar of one layer, entry by entry (OCI image specification): files, links, and whiteouts. Nothing is written to disk, and
//! nothing is trusted: paths outside of the root, impossible sizes and endless headers are errors.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use anyhow::{Context, Result, bail};

/// Bytes of all files: apparent sizes, holes included.
const MOST_BYTES: u64 = 1_000_000_000_000;
/// Entries of an archive.
const MOST_ENTRIES: u64 = 400_000;
/// Bytes of all names in an archive.
const MOST_NAMES: u64 = 50_000_000;
/// PATH_MAX of Linux.
const LONGEST_NAME: usize = 4096;
/// Bytes of an entry's headers: long names and extended attributes.
const MOST_HEADER: u64 = 1 << 20;

/// What is left of the limits. One for a whole archive, so that many small entries cannot exceed them either.
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

/// Names and values of pax headers.
pub type Properties = Vec<(String, Vec<u8>)>;

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerEntry {
    /// Path from the image's root, without leading and trailing slashes; empty for the root.
    pub path: String,
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// The IDs of its user and its group.
    pub owner: [u32; 2],
    /// When it was last modified, in seconds since 1970.
    pub modified: u64,
    /// Its other properties by their names in pax headers (pax(1)), such as `SCHILY.xattr.security.capability`.
    pub properties: Properties,
    /// Its type.
    pub kind: LayerEntryKind,
}

/// The type of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerEntryKind {
    /// A regular file.
    File {
        /// Unpacked bytes.
        bytes: u64,
        /// Whether the content can be read from the stream; not for sparse files.
        readable: bool,
    },
    /// A hard link, with the path of its target.
    HardLink(String),
    /// A symbolic link, with its target.
    Symlink(String),
    /// A folder.
    Folder,
    /// A device or a pipe.
    Other(Special),
    /// The path is deleted from lower layers.
    Whiteout,
    /// Everything in this folder is deleted from lower layers.
    Opaque,
}

/// A device or a pipe, as in its tar header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Special {
    /// The type flag (tar(5)): `3` a character device, `4` a block device, `6` a pipe.
    pub flag: u8,
    /// Major and minor number; only for devices.
    pub device: [u32; 2],
}

/// Reads the tar of a layer; calls `each` with every entry and the content of a regular file.
///
/// # Errors
/// When the tar is damaged, truncated or hostile; and errors of `each`.
pub fn read(
    stream: &mut dyn Read,
    budget: &mut Budget,
    each: &mut dyn FnMut(LayerEntry, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let allowance = Rc::new(Cell::new(MOST_HEADER));
    let mut archive = tar::Archive::new(Guarded { inner: stream, allowance: Rc::clone(&allowance) });
    let mut last = String::new();
    for entry in archive.entries().context("cannot read the layer's tar")? {
        let mut entry = entry.with_context(|| after(&last))?;
        budget.entries = match budget.entries.checked_sub(1) {
            Some(left) => left,
            None => bail!("more than {MOST_ENTRIES} entries"),
        };
        let raw = entry.header().entry_size().unwrap_or(u64::MAX);
        let Some(item) = item_of(&mut entry, budget).with_context(|| after(&last))? else {
            allowance.set(MOST_HEADER.saturating_add(entry.size()));
            continue;
        };
        last.clone_from(&item.path);
        match item.kind {
            LayerEntryKind::File { bytes, readable: true } => {
                allowance.set(u64::MAX);
                let mut counted = Counted { inner: &mut entry, bytes: 0 };
                each(item, &mut counted)?;
                io::copy(&mut counted, &mut io::sink()).with_context(|| format!("within {last}"))?;
                if counted.bytes != bytes {
                    bail!("{last} claims {bytes} bytes, but the layer ends after {}", counted.bytes);
                }
                allowance.set(MOST_HEADER);
            }
            _ => {
                // Its body, if any, is skipped with the next entry.
                allowance.set(MOST_HEADER.saturating_add(raw));
                each(item, &mut io::empty())?;
            }
        }
    }
    Ok(())
}

fn after(last: &str) -> String {
    if last.is_empty() { "damaged layer tar".to_owned() } else { format!("damaged layer tar after {last}") }
}

/// `None` for an entry that is not a file, such as a global header.
fn item_of<R: Read>(entry: &mut tar::Entry<'_, R>, budget: &mut Budget) -> Result<Option<LayerEntry>> {
    let header = entry.header();
    let (mode, kind) = (header.mode().unwrap_or(0) & 0o7777, header.entry_type());
    // Linux has no user or group with this ID (`(uid_t) -1`).
    let id = |id: io::Result<u64>| id.ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(u32::MAX);
    let owner = [id(header.uid()), id(header.gid())];
    let modified = header.mtime().unwrap_or(0);
    let number = |number: io::Result<Option<u32>>| number.ok().flatten().unwrap_or_default();
    let device = [number(header.device_major()), number(header.device_minor())];
    let (sparse, properties) = pax(entry)?;
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
        LayerEntryKind::File { bytes, readable: false }
    } else if kind.is_file() || kind.is_contiguous() {
        match mark(&path)? {
            Some(item) => return Ok(Some(item)),
            None => claim(entry.size(), &path, budget)?,
        }
        LayerEntryKind::File { bytes: entry.size(), readable: true }
    } else if kind.is_hard_link() {
        LayerEntryKind::HardLink(clean(&target(entry), &format!("the hard link {path}"), budget)?)
    } else if kind.is_symlink() {
        let target = target(entry);
        spend(&target, budget)?;
        LayerEntryKind::Symlink(target)
    } else if kind.is_dir() {
        LayerEntryKind::Folder
    } else if kind.is_character_special() || kind.is_block_special() || kind.is_fifo() {
        LayerEntryKind::Other(Special { flag: kind.as_byte(), device })
    } else {
        return Ok(None);
    };
    if path.is_empty() && kind != LayerEntryKind::Folder {
        bail!("the root is not a folder: no builder writes such an entry, so the image cannot be trusted");
    }
    Ok(Some(LayerEntry { path, mode, owner, modified, properties, kind }))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn claim(bytes: u64, path: &str, budget: &mut Budget) -> Result<()> {
    match budget.bytes.checked_sub(bytes) {
        Some(left) => budget.bytes = left,
        None => bail!("{path} claims {bytes} bytes: more than 1TB in all"),
    }
    Ok(())
}

/// Whiteouts (OCI image specification, "Whiteouts").
fn mark(path: &str) -> Result<Option<LayerEntry>> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let Some(hidden) = name.strip_prefix(".wh.") else { return Ok(None) };
    if hidden == ".wh..opq" {
        return Ok(Some(deleted(folder.to_owned(), LayerEntryKind::Opaque)));
    }
    // Other names of this form are internal to aufs and delete nothing.
    if hidden.is_empty() || hidden.starts_with(".wh.") {
        return Ok(None);
    }
    if matches!(hidden, "." | "..") {
        bail!(
            "{path} deletes a folder around it: no builder writes such a path, so the image cannot be trusted"
        );
    }
    let path = if folder.is_empty() { hidden.to_owned() } else { format!("{folder}/{hidden}") };
    Ok(Some(deleted(path, LayerEntryKind::Whiteout)))
}

/// A deletion, which has no properties of its own.
fn deleted(path: String, kind: LayerEntryKind) -> LayerEntry {
    LayerEntry { path, mode: 0, owner: [0; 2], modified: 0, properties: Vec::new(), kind }
}

/// A normalized path from the image's root.
fn clean(name: &str, whose: &str, budget: &mut Budget) -> Result<String> {
    spend(name, budget)?;
    let trimmed = name.trim_end_matches('/');
    if name.starts_with('/') && !trimmed.is_empty() {
        bail!(
            "{whose} has the absolute path {name}: no builder writes such a path, so the image cannot be trusted"
        );
    }
    let mut path = String::with_capacity(trimmed.len());
    for part in trimmed.split('/') {
        match part {
            "" | "." => {}
            ".." => bail!(
                "{whose} has `..` in its path {name}: no builder writes such a path, so the image cannot be trusted"
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
        bail!("a name has {} characters, more than Linux allows", name.len());
    }
    match budget.names.checked_sub(name.len() as u64) {
        Some(left) => budget.names = left,
        None => bail!("more than {MOST_NAMES} bytes of names"),
    }
    Ok(())
}

/// The pax headers of a sparse file (GNU tar manual, "Storing Sparse Files").
struct Sparse {
    name: Option<String>,
    bytes: u64,
}

/// The contents of an entry's pax headers, except for its path, link and size.
fn pax<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<(Option<Sparse>, Properties)> {
    let Some(extensions) = entry.pax_extensions()? else { return Ok((None, Vec::new())) };
    let (mut name, mut bytes, mut is_sparse, mut properties) = (None, None, false, Vec::new());
    for extension in extensions {
        let extension = extension.context("invalid pax header")?;
        match extension.key_bytes() {
            b"GNU.sparse.name" => name = Some(text(extension.value_bytes())),
            b"GNU.sparse.realsize" | b"GNU.sparse.size" => bytes = Some(text(extension.value_bytes())),
            b"GNU.sparse.major" | b"GNU.sparse.map" | b"GNU.sparse.numblocks" => is_sparse = true,
            b"path" | b"linkpath" | b"size" => {}
            key => properties.push((text(key), extension.value_bytes().to_vec())),
        }
    }
    let sparse = match bytes {
        Some(bytes) if is_sparse || name.is_some() => {
            let bytes = bytes.parse().with_context(|| format!("invalid size of a sparse file: `{bytes}`"))?;
            Some(Sparse { name, bytes })
        }
        _ => None,
    };
    Ok((sparse, properties))
}

/// Limits the size of headers, which the tar crate keeps in memory.
struct Guarded<'a> {
    inner: &'a mut dyn Read,
    allowance: Rc<Cell<u64>>,
}

impl Read for Guarded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.allowance.get();
        if left == 0 {
            return Err(io::Error::other("the headers of an entry are longer than 1 MiB"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.inner.read(&mut buffer[..most])?;
        if left != u64::MAX {
            self.allowance.set(left - n as u64);
        }
        Ok(n)
    }
}

/// Counts bytes: for the tar crate, the end of the stream is also the end of an entry.
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
