//! Attribution: the owner of each file that a container sees. Package managers come first, in the order in which they install
//! each other: dpkg, apk, rpm and Conda, then Python, npm and those of other languages. Then heuristics decide. The first claim counts.

mod claims;
pub mod dpkg;
mod heuristics;
mod installed;
pub mod python;

use std::collections::BTreeMap;

use crate::attribution::claims::Claims;
use crate::code::merged;
use crate::facts::MetadataFile;
use crate::file_bytes::FileBytes;
use crate::hints::Hints;
use crate::owner::{LayerShare, Owner};
use crate::tree::{Tree, VisibleFile};
use model::bytes::Bytes;

/// The files of an image with the owner of each.
#[derive(Debug)]
pub struct Attribution<'f> {
    /// Every file that a container sees, sorted by path.
    pub files: Vec<VisibleFile<'f>>,
    /// The owner of each, as an index into `owners`.
    pub owner_of: Vec<usize>,
    /// The owners.
    pub owners: Vec<Owner>,
    /// Installed packages, including those whose files are gone.
    pub packages: u64,
}

/// How many files of an owner are listed.
const LARGEST: usize = 10;

/// Finds an owner for every file.
pub fn attribute<'f>(tree: &Tree<'f>, metadata: &[&'f MetadataFile], hints: &Hints) -> Attribution<'f> {
    let files = tree.files();
    let mut claims = Claims::of(&files);
    let packages = dpkg::claim(tree, metadata, &mut claims)
        + installed::claim(tree, metadata, &installed::SYSTEM, &mut claims)
        + python::claim(tree, metadata, &mut claims)
        + heuristics::npm(metadata, &mut claims)
        + installed::claim(tree, metadata, &installed::LANGUAGE, &mut claims);
    python::byte_code(&mut claims);
    python::folders(&mut claims);
    dpkg::generated(metadata, &mut claims);
    installed::generated(&mut claims);
    dpkg::unlisted(metadata, &mut claims);
    heuristics::claim(tree, hints, &mut claims);
    dpkg::copyright(&mut claims);
    let (owner_of, mut owners) = claims.finish();
    let parts: usize = owners.iter().map(|owner| owner.parts.len()).sum();
    sum(&files, &owner_of, &mut owners);
    Attribution { files, owner_of, owners, packages: packages + parts as u64 }
}

/// Fills in the owners' sums, shares and largest files.
fn sum(files: &[VisibleFile<'_>], owner_of: &[usize], owners: &mut [Owner]) {
    let mut shares: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (file, &index) in files.iter().zip(owner_of) {
        let owner = &mut owners[index];
        owner.bytes = owner.bytes + Bytes(file.bytes);
        owner.files += 1;
        FileBytes::keep_largest(&mut owner.largest, file.path, file.bytes, LARGEST);
        owner.inside.extend(file.elf.iter().flat_map(|elf| elf.code.iter().cloned()));
        *shares.entry((index, file.at.layer)).or_default() += file.bytes;
    }
    for owner in owners.iter_mut().filter(|owner| !owner.inside.is_empty()) {
        owner.inside = merged(owner.inside.iter());
    }
    for ((index, layer), bytes) in shares {
        if bytes > 0 {
            owners[index].layers.push(LayerShare { layer, bytes: Bytes(bytes) });
        }
    }
}
