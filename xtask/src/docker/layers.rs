//! Unpacked bytes of layers, so that both image stores give the same number: the sum of the sizes of a layer's regular
//! files, each hard link counted once. That is what the classic store counts for layers that BuildKit made.

use std::collections::HashMap;
use std::io::{self, Read};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::Docker;
use super::images::{HistoryEntry, Image};
use crate::domain::bytes::Bytes;

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the unpacked layer; equal layers are stored once.
    pub diff_id: String,
    /// Unpacked bytes.
    pub bytes: Bytes,
}

/// Instructions that change the configuration alone (Dockerfile reference): they make no layer.
const NO_LAYER: [&str; 15] = [
    "ENV",
    "LABEL",
    "CMD",
    "ENTRYPOINT",
    "EXPOSE",
    "USER",
    "VOLUME",
    "ARG",
    "STOPSIGNAL",
    "HEALTHCHECK",
    "SHELL",
    "ONBUILD",
    "MAINTAINER",
    "FROM",
    "CROSS_BUILD_COPY",
];

impl Docker {
    /// The layers of an image with their sizes, base first, without reading the image where its history tells.
    ///
    /// # Errors
    /// When docker cannot be asked.
    pub fn layers_from_history(&self, image: &Image) -> Result<Option<Vec<Layer>>> {
        let history = self.history(&image.id)?;
        Ok(pair(image.layers(), &history))
    }

    /// The layers of an image with their sizes, base first, read from the image itself.
    ///
    /// # Errors
    /// When docker cannot save the image or the stream is damaged.
    pub fn layers_from_save(&self, image: &Image) -> Result<Vec<Layer>> {
        let reader = self.cmd(["save", &image.id]).reader()?;
        read_saved(reader, image.layers()).with_context(|| format!("cannot read image {}", image.id))
    }
}

/// Gives each layer the size that its instruction's line shows. `None` where the two do not fit together one to one.
fn pair(diff_ids: &[String], history: &[HistoryEntry]) -> Option<Vec<Layer>> {
    let sizes: Vec<Bytes> = history
        .iter()
        .rev()
        .filter_map(|entry| {
            let bytes = entry.bytes()?;
            (bytes.0 > 0 || makes_layer(&entry.created_by)).then_some(bytes)
        })
        .collect();
    let layers = diff_ids.iter().zip(&sizes);
    (sizes.len() == diff_ids.len())
        .then(|| layers.map(|(diff_id, bytes)| Layer { diff_id: diff_id.clone(), bytes: *bytes }).collect())
}

fn makes_layer(created_by: &str) -> bool {
    let text = created_by.trim();
    let text = text.strip_prefix("/bin/sh -c #(nop)").unwrap_or(text).trim();
    let keyword = text.split_whitespace().next().unwrap_or_default();
    !NO_LAYER.contains(&keyword)
}

#[derive(Deserialize)]
struct SavedManifest {
    #[serde(rename = "Layers")]
    layers: Vec<String>,
}

/// Sizes of the layers in a `docker save` stream, in bounded memory.
fn read_saved(reader: impl Read, diff_ids: &[String]) -> Result<Vec<Layer>> {
    let mut archive = tar::Archive::new(reader);
    let mut sizes: HashMap<String, Bytes> = HashMap::new();
    let mut links: HashMap<String, String> = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        if name == "manifest.json" {
            let manifest: Vec<SavedManifest> =
                serde_json::from_reader(&mut entry).context("manifest.json")?;
            order = manifest.into_iter().next().map(|saved| saved.layers).unwrap_or_default();
        } else if entry.header().entry_type().is_symlink() || entry.header().entry_type().is_hard_link() {
            // Engines before 25 name a layer that stands in the archive already.
            if let Some(target) = entry.link_name()? {
                links.insert(name.clone(), resolve(&name, &target.to_string_lossy()));
            }
        } else if entry.size() > 0
            && let Some(bytes) = layer_bytes(&mut entry)?
        {
            sizes.insert(name, bytes);
        }
    }
    if order.len() != diff_ids.len() {
        bail!("it has {} layers, its archive names {}", diff_ids.len(), order.len());
    }
    let size_of = |name: &String| sizes.get(name).or_else(|| sizes.get(links.get(name)?)).copied();
    diff_ids
        .iter()
        .zip(&order)
        .map(|(diff_id, name)| {
            // An empty layer has no entries at all, and is then taken for no layer.
            Ok(Layer { diff_id: diff_id.clone(), bytes: size_of(name).unwrap_or_default() })
        })
        .collect()
}

/// Sums a layer's regular files; `None` for an entry that is no layer (a configuration, an index).
fn layer_bytes(entry: &mut impl Read) -> Result<Option<Bytes>> {
    let mut start = [0_u8; 512];
    let mut filled = 0;
    while filled < start.len() {
        match entry.read(&mut start[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    let start = &start[..filled];
    let whole = start.chain(entry);
    if start.starts_with(&[0x1f, 0x8b]) {
        return sum_tar(MultiGzDecoder::new(whole)).map(Some);
    }
    if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        bail!(
            "a layer is compressed with zstd, which is not read yet; export the image uncompressed or with gzip"
        );
    }
    let is_tar = start.len() == 512 && (&start[257..262] == b"ustar" || start.iter().all(|b| *b == 0));
    if is_tar { sum_tar(whole).map(Some) } else { Ok(None) }
}

fn sum_tar(reader: impl Read) -> Result<Bytes> {
    let mut archive = tar::Archive::new(reader);
    let mut sum = 0;
    for entry in archive.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() || entry.header().entry_type().is_gnu_sparse() {
            sum += entry.size();
        }
    }
    // The padding must be read too, or the writer sees a broken pipe.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(Bytes(sum))
}

/// `../ID/layer.tar` beside `OTHER/layer.tar` is `ID/layer.tar`.
fn resolve(name: &str, target: &str) -> String {
    match (name.split_once('/'), target.strip_prefix("../")) {
        (Some(_), Some(rest)) => rest.to_owned(),
        _ => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn layer(files: &[(&str, usize)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, size) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(*size as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, vec![7; *size].as_slice()).unwrap();
        }
        let mut link = tar::Header::new_gnu();
        link.set_entry_type(tar::EntryType::Link);
        link.set_size(0);
        tar.append_link(&mut link, "hard", files[0].0).unwrap();
        tar.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn packed_and_plain_layers_have_the_same_unpacked_size() {
        let plain = layer(&[("a", 1000), ("b", 34)]);
        let packed = gzip(&layer(&[("c", 5)]));
        let manifest = br#"[{"Config":"blobs/c","Layers":["blobs/1","blobs/2"]}]"#;
        let mut save = tar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("blobs/1", plain.as_slice()),
            ("blobs/2", &packed),
            ("blobs/c", b"{}"),
            ("manifest.json", manifest),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            save.append_data(&mut header, name, bytes).unwrap();
        }
        let ids = ["sha256:1".to_owned(), "sha256:2".to_owned()];
        let layers = read_saved(save.into_inner().unwrap().as_slice(), &ids).unwrap();
        assert_eq!(layers.iter().map(|l| l.bytes.0).collect::<Vec<_>>(), [1034, 5]);
    }

    fn entry(created_by: &str, size: &str) -> HistoryEntry {
        HistoryEntry { created_by: created_by.into(), size: size.into() }
    }

    #[test]
    fn history_gives_each_layer_its_size_or_nothing_at_all() {
        let history = [
            entry("CMD [\"x\"]", "0"),
            entry("COPY /out / # buildkit", "120"),
            entry("WORKDIR /x", "0"),
            entry("ENV A=b", "0"),
            entry("ADD rootfs.tar / # buildkit", "79000"),
        ];
        let ids: Vec<String> = ["1", "2", "3"].map(str::to_owned).into();
        let layers = pair(&ids, &history).unwrap();
        assert_eq!(layers.iter().map(|l| l.bytes.0).collect::<Vec<_>>(), [79000, 0, 120]);
        assert_eq!(pair(&ids[..2], &history), None);
    }
}
