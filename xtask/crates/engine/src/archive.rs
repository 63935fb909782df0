//! The archive of `docker save`, read as a stream: its layers, each as a plain tar.
//!
//! Reads the classic form (`ID/layer.tar`, engines before 25) and the OCI layout (`blobs/sha256/…`, also packed with gzip or zstd,
//! as the containerd store saves them). Both list their layers in `manifest.json`.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;

use crate::zstd::{self, ZstdReader};

/// Limit for one JSON file; a configuration with a long history has some hundred kilobytes.
const MOST_JSON: u64 = 4_000_000;
/// Limit for all JSON files that are kept.
const MOST_JSON_IN_ALL: u64 = 64_000_000;

/// The layers of an archive, by their names in it.
#[derive(Debug, Default)]
pub struct Index {
    manifest: Option<Vec<u8>>,
    json: HashMap<String, Vec<u8>>,
    /// Skipped JSON files and their sizes in bytes.
    too_large: HashMap<String, u64>,
    links: HashMap<String, String>,
    layers: BTreeSet<String>,
}

/// A layer by its digest and by its name in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedLayer {
    /// Digest of the unpacked layer.
    pub diff_id: String,
    /// The name that `visit` got.
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

/// Reads an archive to its end in bounded memory; calls `visit` with each layer's name and plain tar.
///
/// # Errors
/// When the archive is damaged, truncated or compressed in an unsupported way; and errors of `visit`.
pub fn read(reader: impl Read, visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<Index> {
    let mut archive = tar::Archive::new(reader);
    let mut index = Index::default();
    let mut room = MOST_JSON_IN_ALL;
    for entry in archive.entries().context(UNREADABLE)? {
        let entry = entry.context(UNREADABLE)?;
        let name = entry.path().context(UNREADABLE)?.to_string_lossy().into_owned();
        if name.len() > 1024 {
            bail!("{DAMAGED}: a name has {} characters", name.len());
        }
        let kind = entry.header().entry_type();
        if kind.is_gnu_sparse() {
            // A sparse file of a few bytes could expand to exabytes of zeros.
            bail!("{DAMAGED}: {name} is a sparse file; engines never write these");
        }
        if kind.is_symlink() || kind.is_hard_link() {
            // Engines before 25 link to layers that are already in the archive.
            if let Some(target) = entry.link_name().context(UNREADABLE)? {
                index.links.insert(name.clone(), resolve(&name, &target.to_string_lossy()));
            }
            continue;
        }
        // An empty file may be truncated; if the manifest lists it, it will be reported as missing.
        if entry.size() > 0 {
            read_entry(&name, entry, &mut index, &mut room, visit)?;
        }
    }
    // Only the end of the stream tells whether its writer failed.
    drain(&mut archive.into_inner())?;
    if let (None, Some(bytes)) = (&index.manifest, index.too_large.get("manifest.json")) {
        bail!("{DAMAGED}: manifest.json has {bytes} bytes, more than any real image's");
    }
    if index.manifest.is_none() {
        bail!("{DAMAGED}: it has no manifest.json, so it is truncated or not an image");
    }
    Ok(index)
}

const DAMAGED: &str = "damaged image archive";
const UNREADABLE: &str = "cannot read the image archive";

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
            "unsupported compression of layer {name}: {packing}\nhelp: export the image uncompressed, with gzip or with zstd"
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
    } else if start.starts_with(&zstd::MAGIC) {
        let mut unpacked = ZstdReader::new(whole);
        visit(name, &mut unpacked)
            .and_then(|()| drain(&mut unpacked))
            .with_context(|| format!("layer {name}"))?;
        index.layers.insert(name.to_owned());
    } else if is_tar {
        visit(name, &mut whole).with_context(|| format!("layer {name}"))?;
        index.layers.insert(name.to_owned());
        // The padding is read too, or the writer gets a broken pipe.
        drain(&mut whole)?;
    } else if start.starts_with(b"{") || start.starts_with(b"[") {
        if claimed > MOST_JSON || claimed > *room {
            // Attestations can be large and are not needed. A configuration this large is an error later.
            drain(&mut whole)?;
            index.too_large.insert(name.to_owned(), claimed);
        } else {
            *room -= claimed;
            let mut json = Vec::new();
            whole.read_to_end(&mut json).context(UNREADABLE)?;
            match name {
                "manifest.json" => index.manifest = Some(json),
                _ => drop(index.json.insert(name.to_owned(), json)),
            }
        }
    } else {
        drain(&mut whole)?;
    }
    if counted.bytes != claimed {
        bail!("{DAMAGED}: it ends in {name}, after {} of {claimed} bytes", counted.bytes);
    }
    Ok(())
}

/// Other compressions of the OCI image specification or docker, by their magic numbers.
fn foreign_packing(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 2] = [(b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z'], "xz")];
    known.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, name)| name)
}

/// At most the first 512 bytes.
fn start_of(reader: &mut impl Read) -> Result<Vec<u8>> {
    let mut start = Vec::with_capacity(512);
    reader.by_ref().take(512).read_to_end(&mut start).context(UNREADABLE)?;
    Ok(start)
}

fn drain(reader: &mut dyn Read) -> Result<()> {
    io::copy(reader, &mut io::sink()).context(UNREADABLE).map(drop)
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

impl Index {
    /// The layers of every image in the archive, each image's base first.
    ///
    /// # Errors
    /// When the archive is inconsistent or a layer is missing.
    pub fn layers(&self) -> Result<Vec<SavedLayer>> {
        let manifest = self.manifest.as_deref().unwrap_or_default();
        let images: Vec<SavedManifest> =
            serde_json::from_slice(manifest).with_context(|| format!("{DAMAGED}: manifest.json"))?;
        let mut all = Vec::new();
        for image in images {
            let config =
                self.json.get(&image.config).with_context(|| match self.too_large.get(&image.config) {
                    Some(bytes) => {
                        format!(
                            "{DAMAGED}: {} has {bytes} bytes, more than any real configuration",
                            image.config
                        )
                    }
                    None => format!("{DAMAGED}: missing configuration {}", image.config),
                })?;
            let config: SavedConfig =
                serde_json::from_slice(config).with_context(|| format!("{DAMAGED}: {}", image.config))?;
            let diff_ids = config.rootfs.diff_ids;
            if diff_ids.len() != image.layers.len() {
                bail!(
                    "{DAMAGED}: an image has {} layers, but the archive lists {}",
                    diff_ids.len(),
                    image.layers.len()
                );
            }
            for (diff_id, name) in diff_ids.into_iter().zip(&image.layers) {
                all.push(SavedLayer { name: self.find(name)?, diff_id });
            }
        }
        Ok(all)
    }

    /// The name that `visit` got for a layer.
    fn find(&self, name: &str) -> Result<String> {
        let target = self.links.get(name).map_or(name, String::as_str);
        match self.layers.get(target) {
            Some(seen) => Ok(seen.clone()),
            None => bail!("{DAMAGED}: missing layer {name}"),
        }
    }
}

/// The target of a link: `../ID/layer.tar` from `OTHER/layer.tar` is `ID/layer.tar`.
fn resolve(name: &str, target: &str) -> String {
    match (name.split_once('/'), target.strip_prefix("../")) {
        (Some(_), Some(rest)) => rest.to_owned(),
        _ => target.to_owned(),
    }
}
