//! The contents of an image: its layers, the owners of its bytes, its waste and its opportunities. `analyze` prints this
//! record and other commands read it.

use serde::{Deserialize, Serialize};

use crate::duplicates::Duplicates;
use crate::file_bytes::FileBytes;
use crate::notes::Note;
use crate::opportunity::Opportunity;
use crate::owner::{Owner, OwnerKind};
use crate::unowned::UnownedFolder;
use crate::waste::Waste;
use model::bytes::Bytes;

/// One image, with an owner for every byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// Version of this format.
    pub schema: u32,
    /// The reference that was requested.
    pub image: String,
    /// Its ID.
    pub id: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Its operating system; `None` without `os-release`.
    pub os: Option<OsRelease>,
    /// Unpacked bytes: the sum of `layers`, and also of `owners` and `waste`.
    pub bytes: Bytes,
    /// Layers, base first.
    pub layers: Vec<Layer>,
    /// Owners of the files that a container sees, largest first.
    pub owners: Vec<Owner>,
    /// Bytes without an owner by folder, largest first.
    pub unowned: Vec<UnownedFolder>,
    /// Files that describe packages but could not be read, or not completely.
    pub notes: Vec<Note>,
    /// Files that a later layer hides.
    pub waste: Waste,
    /// Files with equal content.
    pub duplicates: Duplicates,
    /// What the image could do without, largest first. Each byte counts once.
    pub opportunities: Vec<Opportunity>,
    /// The largest files that a container sees.
    pub largest: Vec<FileBytes>,
    /// The attack surface.
    pub surface: Surface,
}

/// The operating system of an image (os-release(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OsRelease {
    /// `debian`.
    pub id: String,
    /// `13`.
    pub version: String,
    /// `trixie`.
    pub codename: Option<String>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest of the unpacked layer.
    pub diff_id: String,
    /// Unpacked bytes.
    pub bytes: Bytes,
    /// How many of them a later layer hides.
    pub wasted: Bytes,
    /// Regular files, each hard link counted once.
    pub files: u64,
    /// Its instruction in the image's history; `None` if history and layers do not match.
    pub instruction: Option<String>,
    /// Where that instruction is in this repository; `None` if no Dockerfile has it.
    pub origin: Option<Origin>,
}

impl Layer {
    /// `FILE:LINE`, else the instruction, else the digest.
    pub fn place(&self) -> String {
        match (&self.origin, &self.instruction) {
            (Some(origin), _) => format!("{}:{}", origin.file, origin.line),
            (None, Some(instruction)) => instruction.clone(),
            (None, None) => format!("layer {}", short_digest(&self.diff_id)),
        }
    }
}

/// The first 12 characters of a digest.
pub fn short_digest(digest: &str) -> &str {
    let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
    hex.get(..12).unwrap_or(hex)
}

/// An instruction of a Dockerfile in this repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The Dockerfile, relative to the repository.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The image that this Dockerfile builds, by its name in the manifest.
    pub image: String,
    /// Whether that image is a base of the analysed image.
    pub base: bool,
    /// COPY: the stage or image that it copies from.
    pub from: Option<String>,
}

/// The attack surface, in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Surface {
    /// Packages of all kinds, and those that were built into programs and archives: crates (cargo-auditable), Go modules, Java
    /// artifacts.
    pub packages: u64,
    /// Regular files with an executable bit.
    pub executables: u64,
    /// Regular files with the setuid or setgid bit.
    pub setuid: u64,
}

impl Contents {
    /// Bytes without an owner.
    pub fn unowned(&self) -> Bytes {
        self.owners.iter().filter(|owner| owner.kind == OwnerKind::Unowned).map(|owner| owner.bytes).sum()
    }

    /// Whether owners and waste sum up to the layers' bytes exactly, as they must.
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
