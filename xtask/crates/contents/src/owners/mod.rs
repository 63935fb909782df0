//! Attribution: who brought each file that a container sees. Those who keep records are asked first, in the order in which
//! they install each other: dpkg, Python's distributions, npm; then what files are like decides. The first claim stands.

pub mod claims;
pub mod dpkg;
pub mod heuristics;
pub mod python;

pub use crate::owners::dpkg::UNLISTED;
pub use crate::owners::python::source_of;

use std::collections::BTreeMap;

use crate::facts::{Kind, Note, Says};
use crate::owner::{Owner, OwnerKind, Share};
use crate::owners::claims::Claims;
use crate::record::FileBytes;
use crate::tree::{Seen, Tree};
use model::bytes::Bytes;

/// What the image's configuration tells about its files.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// The folder that its program starts in, without slashes at its ends.
    pub working_dir: String,
    /// The words of its command line.
    pub command: Vec<String>,
    /// Its environment, as `NAME=VALUE`.
    pub env: Vec<String>,
}

/// The files of an image with the owner of each.
#[derive(Debug)]
pub struct Owned<'f> {
    /// Every file that a container sees, in the order of paths.
    pub files: Vec<Seen<'f>>,
    /// The owner of each, as an index into `owners`.
    pub of: Vec<usize>,
    /// Owners without their sums.
    pub owners: Vec<Owner>,
    /// How many packages say that they are installed: those whose files are gone too.
    pub packages: u64,
}

/// How many of an owner's files its record names.
const LARGEST: usize = 10;

/// Finds an owner for every file.
pub fn attribute<'f>(tree: &Tree<'f>, notes: &[&'f Note], hints: &Hints) -> Owned<'f> {
    let files = tree.files();
    let mut claims = Claims::of(&files);
    let packages = dpkg::claim(tree, notes, &mut claims) + python::claim(tree, notes, &mut claims);
    let modules = heuristics::npm(notes, &mut claims);
    python::byte_code(&mut claims);
    python::folders(&mut claims);
    dpkg::generated(notes, &mut claims);
    dpkg::unlisted(notes, &mut claims);
    heuristics::claim(tree, hints, &mut claims);
    dpkg::copyright(&mut claims);
    let (of, mut owners) = claims.finish();
    let crates: usize = owners.iter().map(|owner| owner.parts.len()).sum();
    sum(&files, &of, &mut owners);
    Owned { files, of, owners, packages: packages + modules + crates as u64 }
}

/// Fills in sums, shares and largest files.
fn sum(files: &[Seen<'_>], of: &[usize], owners: &mut [Owner]) {
    let mut shares: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (file, &index) in files.iter().zip(of) {
        let owner = &mut owners[index];
        owner.bytes = owner.bytes + Bytes(file.bytes);
        owner.files += 1;
        keep_largest(&mut owner.largest, file, LARGEST);
        *shares.entry((index, file.at.layer)).or_default() += file.bytes;
    }
    for ((index, layer), bytes) in shares {
        if bytes > 0 {
            owners[index].layers.push(Share { layer, bytes: Bytes(bytes) });
        }
    }
}

/// Puts a file among the largest, if it is one; of equals the first path stays.
pub fn keep_largest(kept: &mut Vec<FileBytes>, file: &Seen<'_>, most: usize) {
    let at = kept.partition_point(|other| other.bytes.0 >= file.bytes);
    if at < most {
        kept.insert(at, FileBytes { path: file.path.to_owned(), bytes: Bytes(file.bytes) });
        kept.truncate(most);
    }
}

/// Whether a file is an ELF one.
fn is_elf(file: &Seen<'_>) -> bool {
    matches!(file.kind, Kind::File { elf: Some(_), .. })
}

/// An owner that is nothing but a name yet.
fn named(kind: OwnerKind, name: &str) -> Owner {
    Owner {
        kind,
        name: name.to_owned(),
        version: None,
        licence: None,
        purl: None,
        bytes: Bytes(0),
        files: 0,
        layers: Vec::new(),
        largest: Vec::new(),
        parts: Vec::new(),
    }
}

/// The operating system as package URLs name it: `debian`, and its release, `debian-13`.
fn release(notes: &[&Note]) -> Option<(String, String)> {
    notes.iter().find_map(|note| match &note.says {
        Says::Os { id, version, .. } => Some((id.clone(), format!("{id}-{version}"))),
        _ => None,
    })
}

/// Percent-encoding, as far as names and versions of packages need it (purl-spec, "Character encoding").
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
