//! Unpacked bytes of layers, the same on both image stores: the sum of the sizes of a layer's regular files, without hard
//! links. The classic store counts the same for layers that BuildKit made.

use std::collections::HashMap;
use std::io::Read;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::archive::{self, Verify};
use crate::docker::Docker;
use crate::images::{HistoryEntry, Image};
use crate::layer_tar::{self, Budget, LayerEntryKind};
use model::bytes::Bytes;

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the unpacked layer; equal layers are stored once.
    pub diff_id: String,
    /// Unpacked bytes.
    pub bytes: Bytes,
}

/// Instructions that only change the configuration (Dockerfile reference).
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
    /// The layers of an image with their sizes, base first, from its history; `None` where that is not clear.
    ///
    /// # Errors
    /// When docker fails.
    pub fn layers_from_history(&self, image: &Image) -> Result<Option<Vec<Layer>>> {
        let history = self.history(&image.id)?;
        Ok(pair(image.layers(), &history))
    }

    /// The layers of an image with their sizes, base first, from its archive.
    ///
    /// # Errors
    /// When docker cannot save the image or the stream is damaged.
    pub fn layers_from_save(&self, image: &Image) -> Result<Vec<Layer>> {
        self.save(&[image], |archive| read_saved(archive, image.layers()))
            .with_context(|| format!("cannot read image {}", image.id))
    }
}

/// Pairs layers with the sizes in the history. `None` where they do not match one to one.
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

/// The history line of each layer, base first: an alignment that keeps the order and prefers equal sizes.
pub fn makers<'h>(sizes: &[Bytes], history: &'h [HistoryEntry]) -> Vec<Option<&'h HistoryEntry>> {
    let lines: Vec<&HistoryEntry> = history.iter().rev().collect();
    let worth = |layer: usize, line: usize| -> u32 {
        let made = makes_layer(&lines[line].created_by);
        match lines[line].bytes() {
            Some(bytes) if bytes == sizes[layer] && bytes.0 > 0 => 1000,
            // The containerd store counts differently, so only the order helps.
            _ if made => 10,
            _ => 0,
        }
    };
    // best[i][j]: the best score of layers[i..] with lines[j..].
    let mut best = vec![vec![0_u32; lines.len() + 1]; sizes.len() + 1];
    for layer in (0..sizes.len()).rev() {
        for line in (0..lines.len()).rev() {
            let together = match worth(layer, line) {
                0 => 0,
                worth => worth + best[layer + 1][line + 1],
            };
            best[layer][line] = together.max(best[layer + 1][line]).max(best[layer][line + 1]);
        }
    }
    let (mut found, mut line) = (vec![None; sizes.len()], 0);
    for layer in 0..sizes.len() {
        while line < lines.len() && best[layer][line] == best[layer][line + 1] {
            line += 1;
        }
        if line < lines.len() && best[layer][line] > best[layer + 1][line] {
            found[layer] = Some(lines[line]);
            line += 1;
        }
    }
    found
}

fn makes_layer(created_by: &str) -> bool {
    let text = created_by.trim();
    let text = text.strip_prefix("/bin/sh -c #(nop)").unwrap_or(text).trim();
    let keyword = text.split_whitespace().next().unwrap_or_default();
    !NO_LAYER.contains(&keyword)
}

/// Sizes of the layers in a `docker save` stream, in bounded memory.
///
/// # Errors
/// When the archive is damaged or hostile, or has no layer of a digest.
pub fn read_saved(reader: impl Read, diff_ids: &[String]) -> Result<Vec<Layer>> {
    let mut sizes: HashMap<String, Bytes> = HashMap::new();
    let mut budget = Budget::default();
    let index = archive::read(reader, Verify::Nothing, &mut |name, layer| {
        let mut sum = 0;
        layer_tar::read(layer, &mut budget, &mut |item, _| {
            if let LayerEntryKind::File { bytes, .. } = item.kind {
                sum += bytes;
            }
            Ok(())
        })?;
        sizes.insert(name.to_owned(), Bytes(sum));
        Ok(())
    })?;
    let named: HashMap<String, Bytes> = index
        .layers()?
        .into_iter()
        .filter_map(|layer| Some((layer.diff_id, *sizes.get(&layer.name)?)))
        .collect();
    diff_ids
        .iter()
        .map(|diff_id| {
            let bytes =
                *named.get(diff_id).with_context(|| format!("missing layer {diff_id} in the archive"))?;
            Ok(Layer { diff_id: diff_id.clone(), bytes })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::tests::gzip;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

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

    #[test]
    fn layers_have_unpacked_sizes_however_they_are_packed() {
        let plain = layer(&[("a", 1000), ("b", 34)]);
        let gzip = gzip(&layer(&[("c", 5)]));
        let zstd = compress_to_vec(layer(&[("d", 70_000)]).as_slice(), CompressionLevel::Fastest);
        // An attestation is skipped, whatever its size.
        let sbom = format!("{{\"packages\": \"{}\"}}", "x".repeat(5_000_000));
        let manifest = br#"[{"Config":"blobs/c","Layers":["blobs/1","blobs/2","blobs/3"]}]"#;
        let config = br#"{"rootfs":{"diff_ids":["sha256:1","sha256:2","sha256:3"]}}"#;
        let mut save = tar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("blobs/1", plain.as_slice()),
            ("blobs/2", &gzip),
            ("blobs/3", &zstd),
            ("blobs/s", sbom.as_bytes()),
            ("blobs/c", config),
            ("manifest.json", manifest),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            save.append_data(&mut header, name, bytes).unwrap();
        }
        let ids = ["sha256:1", "sha256:2", "sha256:3"].map(str::to_owned);
        let layers = read_saved(save.into_inner().unwrap().as_slice(), &ids).unwrap();
        assert_eq!(layers.iter().map(|l| l.bytes.0).collect::<Vec<_>>(), [1034, 5, 70_000]);
    }

    #[test]
    fn layers_are_aligned_with_history_lines() {
        let history = [
            entry("CMD [\"x\"]", "0"),
            entry("COPY /out / # buildkit", "120"),
            entry("WORKDIR /x", "0"),
            entry("WORKDIR /there/already", "0"),
            entry("ADD rootfs.tar / # buildkit", "79000"),
        ];
        let made = |sizes: &[u64]| -> Vec<Option<String>> {
            let sizes: Vec<Bytes> = sizes.iter().copied().map(Bytes).collect();
            let found = makers(&sizes, &history);
            found.into_iter().map(|line| line.map(|line| line.created_by.clone())).collect()
        };
        let (add, copy) = ("ADD rootfs.tar / # buildkit".to_owned(), "COPY /out / # buildkit".to_owned());
        assert_eq!(made(&[79000, 120]), [Some(add.clone()), Some(copy.clone())]);
        let three = made(&[79000, 0, 120]);
        assert_eq!((&three[0], &three[2]), (&Some(add), &Some(copy)));
        assert!(three[1].as_ref().is_some_and(|line| line.starts_with("WORKDIR")));
        assert_eq!(makers(&[Bytes(1)], &[]), [None]);
    }

    fn entry(created_by: &str, size: &str) -> HistoryEntry {
        HistoryEntry { created_by: created_by.into(), size: size.into() }
    }

    #[test]
    fn sizes_come_from_the_history_only_if_all_layers_match() {
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
