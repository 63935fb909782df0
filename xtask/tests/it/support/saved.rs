//! Images as `docker save` writes them, made in memory, with what docker says of them.

use std::io::Write;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A layer in the making: a tar.
pub struct LayerTar(tar::Builder<Vec<u8>>);

impl LayerTar {
    pub fn new() -> LayerTar {
        LayerTar(tar::Builder::new(Vec::new()))
    }

    fn header(kind: tar::EntryType, size: usize) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size as u64);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
        header
    }

    /// A regular file; a name that is too long for a header gets GNU's form.
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> LayerTar {
        let content = content.as_ref();
        let mut header = LayerTar::header(tar::EntryType::Regular, content.len());
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    pub fn program(mut self, path: &str, mode: u32, content: &[u8]) -> LayerTar {
        let mut header = LayerTar::header(tar::EntryType::Regular, content.len());
        header.set_mode(mode);
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    /// A regular file whose name stands in a pax header.
    pub fn pax_file(mut self, path: &str, content: &[u8]) -> LayerTar {
        self.0.append_pax_extensions([("path", path.as_bytes())]).unwrap();
        let mut header = LayerTar::header(tar::EntryType::Regular, content.len());
        self.0.append_data(&mut header, "short", content).unwrap();
        self
    }

    /// A sparse file as GNU tar writes it in pax form: its name and size stand in the header, its pieces in the body.
    pub fn pax_sparse(mut self, path: &str, size: u64) -> LayerTar {
        let size = size.to_string();
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", path.as_bytes()),
            ("GNU.sparse.realsize", size.as_bytes()),
        ];
        self.0.append_pax_extensions(records).unwrap();
        let mut body = vec![0; 512];
        body[..2].copy_from_slice(b"0\n");
        let mut header = LayerTar::header(tar::EntryType::Regular, body.len());
        self.0.append_data(&mut header, "GNUSparseFile.0/x", body.as_slice()).unwrap();
        self
    }

    /// A sparse file in GNU's old form: `size` bytes, of which the last 512 are there.
    pub fn gnu_sparse(mut self, path: &str, size: u64) -> LayerTar {
        let mut header = LayerTar::header(tar::EntryType::GNUSparse, 512);
        header.set_path(path).unwrap();
        let gnu = header.as_gnu_mut().unwrap();
        let octal = |value: u64| -> [u8; 12] { format!("{value:011o}\0").into_bytes().try_into().unwrap() };
        gnu.sparse[0].offset = octal(size - 512);
        gnu.sparse[0].numbytes = octal(512);
        gnu.realsize = octal(size);
        header.set_cksum();
        self.0.append(&header, [7_u8; 512].as_slice()).unwrap();
        self
    }

    pub fn folder(mut self, path: &str) -> LayerTar {
        let mut header = LayerTar::header(tar::EntryType::Directory, 0);
        self.0.append_data(&mut header, path, std::io::empty()).unwrap();
        self
    }

    pub fn hard(mut self, path: &str, target: &str) -> LayerTar {
        let mut header = LayerTar::header(tar::EntryType::Link, 0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    pub fn link(mut self, path: &str, target: &str) -> LayerTar {
        let mut header = LayerTar::header(tar::EntryType::Symlink, 0);
        self.0.append_link(&mut header, path, target).unwrap();
        self
    }

    /// A header that no builder would write: this name, byte for byte, and this size, whatever follows.
    pub fn raw(mut self, name: &str, kind: tar::EntryType, size: u64, target: &str) -> LayerTar {
        let mut header = LayerTar::header(kind, 0);
        header.set_size(size);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        gnu.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        self.0.get_mut().write_all(header.as_bytes()).unwrap();
        self
    }

    pub fn done(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

/// How an engine lays out what it saves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `ID/layer.tar`: engines before 25.
    Classic,
    /// `blobs/sha256/…`, unpacked.
    Oci,
    /// The same, packed with gzip, as the containerd store saves.
    OciGzip,
}

/// An image in the making.
#[derive(Clone)]
pub struct Saved {
    pub name: &'static str,
    pub layers: Vec<Vec<u8>>,
    /// What made each layer.
    pub instructions: Vec<&'static str>,
    pub config: Value,
    pub architecture: &'static str,
}

/// SHA-256, in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar of files with these names and contents.
pub fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = LayerTar::new();
    for (name, content) in files {
        tar = tar.file(name, content);
    }
    tar.done()
}

impl Saved {
    pub fn new(name: &'static str, layers: Vec<(&'static str, LayerTar)>) -> Saved {
        let (instructions, layers) = layers.into_iter().map(|(line, tar)| (line, tar.done())).unzip();
        Saved { name, layers, instructions, config: json!({}), architecture: "amd64" }
    }

    pub fn config(mut self, config: Value) -> Saved {
        self.config = config;
        self
    }

    pub fn diff_ids(&self) -> Vec<String> {
        self.layers.iter().map(|layer| format!("sha256:{}", digest(layer))).collect()
    }

    pub fn id(&self) -> String {
        format!("sha256:{}", digest(self.saved_config().as_slice()))
    }

    pub fn saved_config(&self) -> Vec<u8> {
        let history: Vec<Value> =
            self.instructions.iter().map(|instruction| json!({"created_by": instruction})).collect();
        json!({"os": "linux", "architecture": self.architecture, "config": self.config, "history": history,
            "rootfs": {"type": "layers", "diff_ids": self.diff_ids()}})
        .to_string()
        .into_bytes()
    }

    /// The files of the archive, `manifest.json` last.
    pub fn files(&self, layout: Layout) -> Vec<(String, Vec<u8>)> {
        let config = self.saved_config();
        let blob = |hex: &str| format!("blobs/sha256/{hex}");
        let config_name = match layout {
            Layout::Classic => format!("{}.json", digest(&config)),
            _ => blob(&digest(&config)),
        };
        let mut files = Vec::new();
        let mut names = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (name, bytes) = match layout {
                Layout::Classic => (format!("{index:064x}/layer.tar"), layer.clone()),
                Layout::Oci => (blob(&digest(layer)), layer.clone()),
                Layout::OciGzip => (blob(&digest(&gzip(layer))), gzip(layer)),
            };
            names.push(name.clone());
            files.push((name, bytes));
        }
        files.push((config_name.clone(), config));
        let manifest = json!([{"Config": config_name, "RepoTags": [self.name], "Layers": names}]);
        files.push(("manifest.json".to_owned(), manifest.to_string().into_bytes()));
        files
    }

    pub fn save(&self, layout: Layout) -> Vec<u8> {
        archive(&self.files(layout))
    }

    /// What `docker image inspect` says.
    pub fn inspect(&self) -> Value {
        json!({"Id": self.id(), "RepoTags": [self.name], "Size": 0, "Os": "linux", "Architecture": self.architecture,
            "RootFS": {"Type": "layers", "Layers": self.diff_ids()}, "Config": self.config})
    }

    /// What `docker history` says, as the containerd store would: sizes that fit to nothing.
    pub fn history(&self) -> String {
        let line = |instruction: &&str| json!({"CreatedBy": instruction, "Size": "1"}).to_string();
        self.instructions.iter().rev().map(|text| line(text) + "\n").collect()
    }
}
