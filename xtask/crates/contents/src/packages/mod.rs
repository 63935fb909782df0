//! Databases and manifests of package managers beyond those in `metadata`: which files they are, how much of each is kept while
//! it is read, and how to parse it. None of them is trusted: counts, sizes, paths and nesting are bounded, and unreadable
//! files are reported as notes.

mod apk;
mod composer;
mod conda;
mod dotnet;
mod gem;
mod maven;
mod rpm;
mod zip;

use crate::excerpt::{Excerpt, Parts};
use crate::facts::Metadata;
use crate::packages::zip::Source;
use crate::paths::PathBudget;

/// The largest database of a package manager that is read: rpm's is about this large on a full desktop.
const MAX_DATABASE: u64 = 128_000_000;
/// The largest manifest of a single package or application.
const MAX_MANIFEST: u64 = 16_000_000;
/// Java archives up to this size are read whole. Of a larger one only the end is kept, with the names of its files.
const MAX_WHOLE_ARCHIVE: u64 = 64_000_000;
/// The end of a larger Java archive, where its central directory is.
const MAX_END: u64 = 16_000_000;

/// Maximum number of bytes to unpack from Java archives.
const MAX_UNPACKED: u64 = 4_000_000_000;
/// Most packages, parts and names inside of files.
const MAX_NAMES: usize = 2_000_000;

/// The remaining budget of all databases, archives and programs that are read together.
#[derive(Debug)]
pub struct Room {
    unpacked: u64,
    names: usize,
    paths: PathBudget,
}

impl Default for Room {
    fn default() -> Room {
        Room::of(MAX_UNPACKED)
    }
}

impl Room {
    /// With this many bytes to unpack.
    pub fn of(unpacked: u64) -> Room {
        Room { unpacked, names: MAX_NAMES, paths: PathBudget::of_archive() }
    }

    /// Takes this many names from the budget; false if they do not fit.
    pub fn names(&mut self, count: usize) -> bool {
        let rest = self.names.checked_sub(count);
        self.names = rest.unwrap_or(self.names);
        rest.is_some()
    }
}

/// A kind of file that says which packages are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageFile {
    /// `lib/apk/db/installed`.
    Apk,
    /// `rpmdb.sqlite`, `Packages.db` or `Packages`.
    Rpm,
    /// `conda-meta/NAME-VERSION-BUILD.json`.
    Conda,
    /// `specifications/NAME-VERSION.gemspec`.
    Gem,
    /// `vendor/composer/installed.json`.
    Composer,
    /// `NAME.deps.json`.
    Dotnet,
    /// A `.jar`, `.war`, `.ear` or `.hpi`.
    Archive,
}

impl PackageFile {
    /// The kind of package file at this path, if any.
    pub fn at(path: &str) -> Option<PackageFile> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (parent, grandparent) = {
            let mut above = folder.rsplit('/');
            (above.next().unwrap_or_default(), above.next().unwrap_or_default())
        };
        match name {
            "installed" if matches!(folder, "lib/apk/db" | "usr/lib/apk/db") => Some(PackageFile::Apk),
            "rpmdb.sqlite" | "Packages.db" | "Packages" if rpm::is_folder(folder) => Some(PackageFile::Rpm),
            "installed.json" if parent == "composer" => Some(PackageFile::Composer),
            _ if name.ends_with(".json") && parent == "conda-meta" => Some(PackageFile::Conda),
            _ if name.ends_with(".deps.json") => Some(PackageFile::Dotnet),
            _ if name.ends_with(".gemspec")
                && (parent == "specifications" || (parent, grandparent) == ("default", "specifications")) =>
            {
                Some(PackageFile::Gem)
            }
            _ if maven::is_archive(name) => Some(PackageFile::Archive),
            _ => None,
        }
    }

    /// The largest file that is read whole.
    fn most(self) -> u64 {
        match self {
            PackageFile::Apk | PackageFile::Rpm => MAX_DATABASE,
            PackageFile::Archive => MAX_WHOLE_ARCHIVE,
            _ => MAX_MANIFEST,
        }
    }

    /// The parts of a file that are kept.
    pub fn parts(self, size: u64) -> Parts {
        let mut parts = Parts::default();
        if size <= self.most() {
            parts[0] = 0..size;
        } else if self == PackageFile::Archive {
            parts[1] = size - MAX_END..size;
        }
        parts
    }
}

/// Parses a file from its kept parts.
pub fn read(kind: PackageFile, path: &str, size: u64, file: &Excerpt, room: &mut Room) -> Vec<Metadata> {
    let bytes = file.bytes();
    if kind != PackageFile::Archive && bytes.len() as u64 != size {
        return vec![Metadata::Note(format!("not read: it has more than {} bytes", kind.most()))];
    }
    let mut budget = room.paths.one();
    let found = match kind {
        PackageFile::Apk => Ok(apk::read(bytes, &mut budget)),
        PackageFile::Rpm => rpm::read(bytes, &mut budget),
        PackageFile::Conda => conda::read(path, bytes, &mut budget).map(|found| vec![found]),
        PackageFile::Gem => gem::read(path, bytes, &mut budget).map(|found| vec![found]),
        PackageFile::Composer => composer::read(path, bytes, &mut budget),
        PackageFile::Dotnet => dotnet::read(path, bytes, &mut budget),
        PackageFile::Archive => maven::read(path, Source::of(file, size), &mut room.unpacked),
    };
    let is_cut = budget.is_spent();
    room.paths.spend(&budget);
    let found = match found {
        Ok(found) => found,
        Err(why) => return vec![Metadata::Note(format!("not read: {why}"))],
    };
    if !room.names(found.iter().map(|one| 1 + one.parts.len() + one.inside.len()).sum()) {
        return vec![Metadata::Note("not read: the image has too many packages".to_owned())];
    }
    let note = is_cut.then(|| Metadata::Note("it lists too many paths; the rest are ignored".to_owned()));
    let found = (!found.is_empty()).then_some(Metadata::Installed(found));
    found.into_iter().chain(note).collect()
}

/// Why a file was not read.
type Refused = String;
