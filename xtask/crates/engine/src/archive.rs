//! The archive that `docker save` writes, read as a stream: which layers are in it, and each layer as a plain tar.
//!
//! Both forms are read: the classic one (`ID/layer.tar`, engines before 25) and the OCI layout (`blobs/sha256/…`, also
//! packed with gzip, as the containerd store saves them). Either names its layers in `manifest.json`.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// The largest JSON that is kept: a configuration with a long history has some hundred kilobytes.
const MOST_JSON: u64 = 4_000_000;
/// All that is kept of one archive.
const MOST_JSON_IN_ALL: u64 = 64_000_000;

/// Which layers an archive held, and under which names.
#[derive(Debug, Default)]
pub struct Index {
    manifest: Option<Vec<u8>>,
    json: HashMap<String, Vec<u8>>,
    links: HashMap<String, String>,
    layers: BTreeSet<String>,
}

/// A layer by its digest and by its name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Digest of the unpacked layer.
    pub diff_id: String,
    /// The name under which the visitor saw it.
    pub name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedManifest {
    config: String,
    layers: Vec<String>,
}

#[derive(Deserialize)]
struct SavedConfig {
    rootfs: SavedRoot,
}

#[derive(Deserialize)]
struct SavedRoot {
    #[serde(default)]
    diff_ids: Vec<String>,
}

/// Reads an archive to its end in bounded memory, and hands each layer over as a plain tar under its name in the archive.
///
/// # Errors
/// When the archive is damaged, cut off or packed in a way that is not read, and what `visit` returns.
pub fn read(reader: impl Read, visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<Index> {
    let mut archive = tar::Archive::new(reader);
    let mut index = Index::default();
    let mut room = MOST_JSON_IN_ALL;
    for entry in archive.entries().context(UNREADABLE)? {
        let entry = entry.context(UNREADABLE)?;
        let name = entry.path().context(UNREADABLE)?.to_string_lossy().into_owned();
        if name.len() > 1024 {
            bail!("{DAMAGED}: a name in it has {} characters", name.len());
        }
        let kind = entry.header().entry_type();
        if kind.is_symlink() || kind.is_hard_link() {
            // Engines before 25 name a layer that stands in the archive already.
            if let Some(target) = entry.link_name().context(UNREADABLE)? {
                index.links.insert(name.clone(), resolve(&name, &target.to_string_lossy()));
            }
            continue;
        }
        // An empty file may be the rest of one that was cut off: whoever names it in a manifest will miss it.
        if entry.size() > 0 {
            read_entry(&name, entry, &mut index, &mut room, visit)?;
        }
    }
    // What stands behind the archive's end is nothing, but whether its writer failed is known only then.
    drain(&mut archive.into_inner())?;
    if index.manifest.is_none() {
        bail!("{DAMAGED}: it holds no manifest.json, so it was cut off or is no image");
    }
    Ok(index)
}

const DAMAGED: &str = "the archive of the image is damaged";
const UNREADABLE: &str = "the archive of the image cannot be read";

fn read_entry<R: Read>(
    name: &str,
    entry: tar::Entry<'_, R>,
    index: &mut Index,
    room: &mut u64,
    visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<()> {
    let claimed = entry.size();
    let mut counted = Counted { inner: entry, bytes: 0 };
    let start = start_of(&mut counted)?;
    if let Some(packing) = foreign_packing(&start) {
        bail!(
            "layer {name} is packed with {packing}, which is not read; export the image uncompressed or with gzip"
        );
    }
    let is_tar = start.len() == 512 && (&start[257..262] == b"ustar" || start.iter().all(|b| *b == 0));
    let mut whole = start.as_slice().chain(&mut counted);
    if start.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = MultiGzDecoder::new(whole);
        visit(name, &mut unpacked)
            .and_then(|()| drain(&mut unpacked))
            .with_context(|| format!("layer {name}"))?;
        index.layers.insert(name.to_owned());
        drain(&mut unpacked.into_inner())?;
    } else if is_tar {
        visit(name, &mut whole).with_context(|| format!("layer {name}"))?;
        index.layers.insert(name.to_owned());
        // The padding must be read too, or the writer sees a broken pipe.
        drain(&mut whole)?;
    } else if start.starts_with(b"{") || start.starts_with(b"[") {
        if claimed > MOST_JSON || claimed > *room {
            bail!("{DAMAGED}: {name} is JSON of {claimed} bytes, and no image has that much");
        }
        *room -= claimed;
        let mut json = Vec::new();
        whole.read_to_end(&mut json).context(UNREADABLE)?;
        match name {
            "manifest.json" => index.manifest = Some(json),
            _ => drop(index.json.insert(name.to_owned(), json)),
        }
    } else {
        drain(&mut whole)?;
    }
    if counted.bytes != claimed {
        bail!("{DAMAGED}: it ends within {name}, after {} of {claimed} bytes", counted.bytes);
    }
    Ok(())
}

/// Other compressions that the OCI image specification or docker know of, by their first bytes.
fn foreign_packing(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 3] =
        [(&[0x28, 0xb5, 0x2f, 0xfd], "zstd"), (b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z'], "xz")];
    known.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| name)
}

/// The first 512 bytes, or all there are.
fn start_of(reader: &mut impl Read) -> Result<Vec<u8>> {
    let mut start = Vec::with_capacity(512);
    reader.by_ref().take(512).read_to_end(&mut start).context(UNREADABLE)?;
    Ok(start)
}

fn drain(reader: &mut dyn Read) -> Result<()> {
    io::copy(reader, &mut io::sink()).context(UNREADABLE).map(drop)
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

impl Index {
    /// The layers of every image in the archive, each image's base first.
    ///
    /// # Errors
    /// When the archive contradicts itself or lacks a layer that it names.
    pub fn layers(&self) -> Result<Vec<Named>> {
        let manifest = self.manifest.as_deref().unwrap_or_default();
        let images: Vec<SavedManifest> =
            serde_json::from_slice(manifest).with_context(|| format!("{DAMAGED}: manifest.json"))?;
        let mut all = Vec::new();
        for image in images {
            let config = self
                .json
                .get(&image.config)
                .with_context(|| format!("{DAMAGED}: it lacks the configuration {}", image.config))?;
            let config: SavedConfig =
                serde_json::from_slice(config).with_context(|| format!("{DAMAGED}: {}", image.config))?;
            let diff_ids = config.rootfs.diff_ids;
            if diff_ids.len() != image.layers.len() {
                bail!(
                    "{DAMAGED}: an image has {} layers, and the archive names {}",
                    diff_ids.len(),
                    image.layers.len()
                );
            }
            for (diff_id, name) in diff_ids.into_iter().zip(&image.layers) {
                all.push(Named { name: self.find(name)?, diff_id });
            }
        }
        Ok(all)
    }

    /// The name under which a layer was seen.
    fn find(&self, name: &str) -> Result<String> {
        let target = self.links.get(name).map_or(name, String::as_str);
        match self.layers.get(target) {
            Some(seen) => Ok(seen.clone()),
            None => bail!("{DAMAGED}: it lacks the layer {name}"),
        }
    }
}

/// `../ID/layer.tar` beside `OTHER/layer.tar` is `ID/layer.tar`.
fn resolve(name: &str, target: &str) -> String {
    match (name.split_once('/'), target.strip_prefix("../")) {
        (Some(_), Some(rest)) => rest.to_owned(),
        _ => target.to_owned(),
    }
}
