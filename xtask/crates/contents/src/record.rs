//! What is in an image: its layers, who brought its bytes, what is wasted and what could go. The record that `analyze`
//! prints and that other commands read.

use serde::{Deserialize, Serialize};

use crate::opportunity::Opportunity;
use crate::owner::{Owner, OwnerKind};
use crate::waste::{Duplicates, Waste};
use model::bytes::Bytes;

/// One image, every byte explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// Version of this form.
    pub schema: u32,
    /// The image as it was asked for.
    pub image: String,
    /// Its ID.
    pub id: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Unpacked bytes: the sum of its layers, and of `owners` and `waste` too.
    pub bytes: Bytes,
    /// Layers, base first.
    pub layers: Vec<Layer>,
    /// Who brought the files that a container sees, largest first.
    pub owners: Vec<Owner>,
    /// Files that a later layer hides.
    pub waste: Waste,
    /// Equal files under several paths.
    pub duplicates: Duplicates,
    /// What could go, largest first. No byte is in two of them.
    pub opportunities: Vec<Opportunity>,
    /// The largest files that a container sees.
    pub largest: Vec<FileBytes>,
    /// What an attacker finds.
    pub surface: Surface,
}

/// A file and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBytes {
    /// From the image's root, without a leading slash.
    pub path: String,
    /// Its size.
    pub bytes: Bytes,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the unpacked layer.
    pub diff_id: String,
    /// Unpacked bytes.
    pub bytes: Bytes,
    /// Of these, what a later layer hides.
    pub wasted: Bytes,
    /// Regular files, each hard link counted once.
    pub files: u64,
    /// The instruction as the image's history has it; none where history and layers do not fit together.
    pub instruction: Option<String>,
    /// Where that instruction stands in this repository; none where no Dockerfile here holds it.
    pub origin: Option<Origin>,
}

impl Layer {
    /// Where the layer comes from, as short as it can be said.
    pub fn place(&self) -> String {
        match (&self.origin, &self.instruction) {
            (Some(origin), _) => format!("{}:{}", origin.file, origin.line),
            (None, Some(instruction)) => instruction.clone(),
            (None, None) => format!("layer {}", short(&self.diff_id)),
        }
    }
}

/// The first characters of a digest, enough to tell it from others.
pub fn short(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// An instruction of a Dockerfile of this repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The Dockerfile, relative to the repository.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The image that this Dockerfile makes, as the manifest names it.
    pub image: String,
    /// Whether that image is one which the analysed image starts from, and not the analysed image itself.
    pub base: bool,
    /// The stage or image that a COPY takes its files from: they were made there.
    pub from: Option<String>,
}

/// What an attacker finds, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surface {
    /// Packages: Debian's, Python distributions, npm packages, and crates as far as a program lists them (cargo-auditable).
    pub packages: u64,
    /// Regular files that may be executed.
    pub executables: u64,
    /// Regular files that run as their owner or group (setuid, setgid).
    pub setuid: u64,
}

impl Contents {
    /// Bytes that nothing accounts for.
    pub fn unowned(&self) -> Bytes {
        self.owners.iter().filter(|owner| owner.kind == OwnerKind::Unowned).map(|owner| owner.bytes).sum()
    }

    /// Whether owners and waste are the layers' bytes, exactly. It always is: a record of which it is not is handed to nobody.
    pub fn adds_up(&self) -> bool {
        let layers: Bytes = self.layers.iter().map(|layer| layer.bytes).sum();
        let owners: Bytes = self.owners.iter().map(|owner| owner.bytes).sum();
        let shares: Bytes = self.owners.iter().flat_map(|owner| &owner.layers).map(|share| share.bytes).sum();
        let wasted: Bytes = self.layers.iter().map(|layer| layer.wasted).sum();
        layers == self.bytes
            && owners + self.waste.bytes == self.bytes
            && shares == owners
            && wasted == self.waste.bytes
    }
}
