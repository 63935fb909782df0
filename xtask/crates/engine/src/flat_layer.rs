//! Writes the files of a flattened image as one layer, with their modes, owners, times, extended attributes, links and devices.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::flat_image::{FlatImage, FlatPath};
use crate::layer_tar::LayerEntryKind;

/// A layer that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrittenLayer {
    /// Digest of its tar.
    pub(crate) diff_id: String,
    /// Bytes of its tar.
    pub(crate) tar: u64,
    /// Bytes of its files, each hard link counted once.
    pub(crate) files: u64,
}

/// Writes the tar of a layer with the kept paths.
pub(crate) fn write(
    image: &FlatImage,
    keeps: &dyn Fn(&FlatPath<'_>) -> bool,
    check: &dyn Fn() -> Result<()>,
    out: impl Write,
) -> Result<WrittenLayer> {
    let mut builder = Builder::new(Hashed { inner: out, hash: Sha256::new(), bytes: 0 });
    let mut contents = BufReader::with_capacity(1 << 17, image.contents.try_clone()?);
    let mut first: HashMap<usize, &str> = HashMap::new();
    let mut files = 0;
    for path in image.paths().filter(|path| keeps(path)) {
        check()?;
        let linked = first.get(&path.inode).copied();
        first.entry(path.inode).or_insert(path.path);
        files += linked.map_or_else(|| path.bytes().unwrap_or_default(), |_| 0);
        entry(image, &path, linked, &mut contents, &mut builder)
            .with_context(|| format!("cannot write /{} to the trial image", path.path))?;
    }
    let hashed = builder.into_inner().context("cannot write the trial image")?;
    let digest: String = hashed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(WrittenLayer { diff_id: format!("sha256:{digest}"), tar: hashed.bytes, files })
}

/// `linked`: the path under which the same file was already written.
fn entry(
    image: &FlatImage,
    path: &FlatPath<'_>,
    linked: Option<&str>,
    contents: &mut BufReader<File>,
    builder: &mut Builder<impl Write>,
) -> Result<()> {
    let entry = path.entry;
    let mut header = Header::new_ustar();
    header.set_mode(entry.mode);
    header.set_uid(entry.owner[0].into());
    header.set_gid(entry.owner[1].into());
    header.set_mtime(entry.modified);
    header.set_size(0);
    let mut target = linked;
    let kind = match &entry.kind {
        _ if linked.is_some() => EntryType::Link,
        LayerEntryKind::Folder => EntryType::Directory,
        LayerEntryKind::Symlink(text) => {
            target = Some(text);
            EntryType::Symlink
        }
        LayerEntryKind::Other(special) => {
            header.set_device_major(special.device[0])?;
            header.set_device_minor(special.device[1])?;
            EntryType::new(special.flag)
        }
        _ => EntryType::Regular,
    };
    header.set_entry_type(kind);
    let name = match kind {
        EntryType::Directory if path.path.is_empty() => "./".to_owned(),
        EntryType::Directory => format!("{}/", path.path),
        _ => path.path.to_owned(),
    };
    let mut pax: Vec<(&str, &[u8])> =
        entry.properties.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    let ustar = header.as_ustar_mut().context("unexpected tar header")?;
    for (key, text, field) in
        [("path", Some(name.as_str()), &mut ustar.name), ("linkpath", target, &mut ustar.linkname)]
    {
        let Some(text) = text else { continue };
        if text.len() > field.len() {
            pax.push((key, text.as_bytes()));
        }
        let short = &text.as_bytes()[..text.len().min(field.len())];
        field[..short.len()].copy_from_slice(short);
    }
    builder.append_pax_extensions(pax)?;
    match (kind, path.bytes()) {
        (EntryType::Regular, Some(bytes)) => {
            header.set_size(bytes);
            header.set_cksum();
            seek(contents, image.inode(path.inode).at)?;
            builder.append(&header, contents.take(bytes))?;
        }
        _ => {
            header.set_cksum();
            builder.append(&header, io::empty())?;
        }
    }
    Ok(())
}

/// Files are mostly read in the order in which they were written: a relative seek keeps the buffer.
fn seek(contents: &mut BufReader<File>, at: u64) -> io::Result<()> {
    let here = contents.stream_position()?;
    match i64::try_from(i128::from(at) - i128::from(here)) {
        Ok(offset) => contents.seek_relative(offset),
        Err(_) => contents.seek(SeekFrom::Start(at)).map(drop),
    }
}

struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
