//! Trial images: one-layer copies of an image with some of its files, under a tag that is removed with this value. The tag contains the
//! ID of the process that created it, so that the next run can remove what a killed run left.

use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tar::{Builder, Header};

use crate::blob::sha256;
use crate::docker::Docker;
use crate::flat_image::{FlatImage, FlatPath};
use crate::flat_layer::{self, WrittenLayer};
use crate::labels;
use host::process_name::{Life, ProcessName};
use model::bytes::Bytes;

/// The repository of all trial images.
const REPOSITORY: &str = "xtask-trial";

/// An image in the engine, removed when this value is dropped. By then, no container may use it.
#[derive(Debug)]
pub struct TrialImage {
    /// Its tag.
    pub reference: String,
    /// Bytes of its files, each hard link counted once.
    pub bytes: Bytes,
    docker: Docker,
}

impl Docker {
    /// Creates an image with the original's configuration and its kept paths. The archive for the engine is first written to
    /// `folder`.
    ///
    /// # Errors
    /// When the disk is full, docker fails, or the user interrupts.
    pub fn trial_image(
        &self,
        image: &FlatImage,
        keeps: &dyn Fn(&FlatPath<'_>) -> bool,
        folder: &Path,
    ) -> Result<TrialImage> {
        let mut archive = tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot write a temporary file in {}", folder.display()))?;
        let reference = format!("{REPOSITORY}:{}", ProcessName::current());
        let check = || self.runner.interrupt.check().map_err(anyhow::Error::from);
        let layer = write(image, keeps, &reference, &check, &mut archive)?;
        let bytes = Bytes(layer.files);
        // From here on, dropping the value removes the image.
        let trial = TrialImage { reference, bytes, docker: self.clone() };
        let own = format!("/proc/{}/fd/{}", std::process::id(), archive.as_raw_fd());
        // Ctrl-C waits for the load to end: the engine may complete it without its client, after the image was removed.
        self.cmd(["load", "--quiet"]).stdin_file(PathBuf::from(own)).apart().read()?;
        check()?;
        Ok(trial)
    }

    /// Removes the trial images of processes that have ended. Returns a message for each image that it could not remove.
    ///
    /// # Errors
    /// When docker fails.
    pub fn sweep_trial_images(&self) -> Result<Vec<String>> {
        let tags = self.tags_with_label(labels::TRIAL)?;
        let is_left = |tag: &String| {
            let process = tag.strip_prefix(REPOSITORY).and_then(|tag| tag.strip_prefix(':')?.parse().ok());
            process.is_some_and(|process: ProcessName| process.life() == Life::Gone)
        };
        let left: Vec<String> = tags.into_iter().filter(is_left).collect();
        if left.is_empty() { Ok(Vec::new()) } else { self.remove_unused(&left) }
    }
}

impl Drop for TrialImage {
    fn drop(&mut self) {
        // The next run removes what remains.
        self.docker.remove(std::slice::from_ref(&self.reference)).ok();
    }
}

/// Writes the archive of an image with one layer for `docker load` (moby, image/tarexport).
fn write(
    image: &FlatImage,
    keeps: &dyn Fn(&FlatPath<'_>) -> bool,
    reference: &str,
    check: &dyn Fn() -> Result<()>,
    archive: &mut File,
) -> Result<WrittenLayer> {
    let failed = "cannot write the trial image";
    // The layer's size is known only after writing it, so its header is written last.
    archive.seek(SeekFrom::Start(512)).context(failed)?;
    let mut out = BufWriter::with_capacity(1 << 17, &mut *archive);
    let layer = flat_layer::write(image, keeps, check, &mut out)?;
    let padding = layer.tar.next_multiple_of(512) - layer.tar;
    out.write_all(&vec![0; usize::try_from(padding)?]).context(failed)?;
    out.flush().context(failed)?;
    drop(out);
    let config = config(&image.config, &layer.diff_id).to_string();
    let file = format!("{}.json", sha256(config.as_bytes()).trim_start_matches("sha256:"));
    let manifest = json!([{"Config": file, "RepoTags": [reference], "Layers": ["layer.tar"]}]).to_string();
    let mut rest = Builder::new(&mut *archive);
    for (name, text) in [(file.as_str(), &config), ("manifest.json", &manifest)] {
        let mut header = header(name, u64::try_from(text.len())?)?;
        rest.append_data(&mut header, name, text.as_bytes()).context(failed)?;
    }
    rest.into_inner().context(failed)?;
    archive.rewind().context(failed)?;
    archive.write_all(header("layer.tar", layer.tar)?.as_bytes()).context(failed)?;
    archive.rewind().context(failed)?;
    Ok(layer)
}

fn header(name: &str, bytes: u64) -> Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(header)
}

/// The original's configuration with one layer and our label.
fn config(original: &Value, diff_id: &str) -> Value {
    let mut config = original.clone();
    config["rootfs"] = json!({"type": "layers", "diff_ids": [diff_id]});
    config["history"] = json!([{"created_by": "diet", "created": config["created"]}]);
    if !config["config"].is_object() {
        config["config"] = json!({});
    }
    if !config["config"]["Labels"].is_object() {
        config["config"]["Labels"] = json!({});
    }
    config["config"]["Labels"][labels::TRIAL] = json!("");
    config
}

#[cfg(test)]
mod tests {
    use crate::archive::{self, Verify};
    use crate::flat_image;
    use crate::layer_tar::{self, Budget, LayerEntry, LayerEntryKind, Special};
    use tar::EntryType;

    use super::*;

    struct Layer(Builder<Vec<u8>>);

    impl Layer {
        fn new() -> Layer {
            Layer(Builder::new(Vec::new()))
        }

        fn add(mut self, path: &str, kind: EntryType, link: &str, content: &str) -> Layer {
            let mut header = Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o4751);
            header.set_uid(3_000_000);
            header.set_gid(7);
            header.set_mtime(1_700_000_001);
            header.set_size(content.len() as u64);
            if !kind.is_hard_link() && !kind.is_symlink() {
                if kind.is_character_special() {
                    header.set_device_major(1).unwrap();
                    header.set_device_minor(9).unwrap();
                }
                self.0.append_data(&mut header, path, content.as_bytes()).unwrap();
            } else {
                self.0.append_link(&mut header, path, link).unwrap();
            }
            self
        }

        fn file(self, path: &str, content: &str) -> Layer {
            self.add(path, EntryType::Regular, "", content)
        }

        fn attribute(mut self, value: &[u8]) -> Layer {
            self.0.append_pax_extensions([("SCHILY.xattr.user.x", value)]).unwrap();
            self
        }
    }

    /// The archive of an image, as `docker save` writes it.
    fn saved(layers: Vec<Layer>) -> Vec<u8> {
        let layers: Vec<Vec<u8>> = layers.into_iter().map(|layer| layer.0.into_inner().unwrap()).collect();
        let ids: Vec<String> = layers.iter().map(|layer| sha256(layer)).collect();
        let names: Vec<String> = (0..layers.len()).map(|index| format!("{index}.tar")).collect();
        let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids},
            "config": {"Env": ["A=b"], "Labels": {"c": "d"}, "StopSignal": "SIGQUIT"}, "history": [{"created_by": "RUN x"}]});
        let manifest = json!([{"Config": "c.json", "RepoTags": null, "Layers": names}]);
        let mut archive = Builder::new(Vec::new());
        let documents = [("c.json", config.to_string()), ("manifest.json", manifest.to_string())];
        let documents = documents.iter().map(|(name, text)| (*name, text.as_bytes()));
        for (name, bytes) in
            names.iter().map(String::as_str).zip(layers.iter().map(Vec::as_slice)).chain(documents)
        {
            archive.append_data(&mut header(name, bytes.len() as u64).unwrap(), name, bytes).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn flat(archive: &[u8]) -> FlatImage {
        flat_image::read(&mut &*archive, tempfile::tempfile().unwrap(), &|| Ok(())).unwrap()
    }

    /// The trial image's configuration, its entries and their contents.
    fn trial(image: &FlatImage, keeps: &dyn Fn(&FlatPath<'_>) -> bool) -> (Value, Vec<(LayerEntry, String)>) {
        let mut file = tempfile::tempfile().unwrap();
        let written = write(image, keeps, "xtask-trial:1", &|| Ok(()), &mut file).unwrap();
        let mut entries = Vec::new();
        let index = archive::read(&file, Verify::Digests, &mut |_, layer| {
            layer_tar::read(layer, &mut Budget::default(), &mut |entry, content| {
                let mut text = String::new();
                content.read_to_string(&mut text)?;
                entries.push((entry, text));
                Ok(())
            })
        });
        let (config, layers) = index.unwrap().only_image().unwrap();
        assert_eq!(layers[0].diff_id, written.diff_id);
        (config, entries)
    }

    #[test]
    fn a_trial_image_has_the_files_that_a_container_sees() {
        let long = format!("{}/file", "long-name-".repeat(20));
        let image = flat(&saved(vec![
            Layer::new()
                .add("d", EntryType::Directory, "", "")
                .file("d/deleted", "x")
                .file("d/overwritten", "old")
                .file("gone/below", "x")
                .file("opaque/below", "x")
                .attribute(b"a\0b")
                .file("d/kept", "kept")
                .add("a-link", EntryType::Link, "d/kept", "")
                .add("pipe", EntryType::Fifo, "", "")
                .add("null", EntryType::Char, "", "")
                .add("symbolic", EntryType::Symlink, "/d/../nowhere", ""),
            Layer::new()
                .file("d/.wh.deleted", "")
                .file(".wh.gone", "")
                .file("opaque/.wh..wh..opq", "")
                .file("opaque/new", "new")
                .file("d/overwritten", "newer")
                .file(&long, "long"),
        ]));
        let (config, entries) = trial(&image, &|_| true);
        let paths: Vec<&str> = entries.iter().map(|(entry, _)| entry.path.as_str()).collect();
        let expected =
            ["a-link", "d", "d/kept", "d/overwritten", &long, "null", "opaque/new", "pipe", "symbolic"];
        assert_eq!(paths, expected);
        let at = |path: &str| entries.iter().find(|(entry, _)| entry.path == path).unwrap();
        // The first name has the content, the second is the link.
        assert_eq!(
            (at("a-link").1.as_str(), &at("d/kept").0.kind),
            ("kept", &LayerEntryKind::HardLink("a-link".into()))
        );
        assert_eq!((at(&long).1.as_str(), at("d/overwritten").1.as_str()), ("long", "newer"));
        let LayerEntry { mode, owner, modified, properties, .. } = &at("a-link").0;
        assert_eq!((*mode, *owner, *modified), (0o4751, [3_000_000, 7], 1_700_000_001));
        assert_eq!(properties, &[("SCHILY.xattr.user.x".to_owned(), b"a\0b".to_vec())]);
        assert_eq!(at("null").0.kind, LayerEntryKind::Other(Special { flag: b'3', device: [1, 9] }));
        assert_eq!(at("pipe").0.kind, LayerEntryKind::Other(Special { flag: b'6', device: [0, 0] }));
        assert_eq!(at("symbolic").0.kind, LayerEntryKind::Symlink("/d/../nowhere".into()));
        assert_eq!(config["config"]["StopSignal"], "SIGQUIT");
        assert_eq!(config["config"]["Labels"], json!({"c": "d", labels::TRIAL: ""}));
    }

    #[test]
    fn what_is_not_kept_is_not_written() {
        let image = flat(&saved(vec![
            Layer::new().file("a", "one").add("b", EntryType::Link, "a", "").file("c", "three"),
        ]));
        let (_, entries) = trial(&image, &|path| path.path == "b");
        let [(entry, content)] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(
            (entry.path.as_str(), content.as_str()),
            ("b", "one"),
            "a hard link whose first name goes is the file"
        );
    }
}
