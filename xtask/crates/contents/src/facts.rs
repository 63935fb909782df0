//! What is learned of one layer, once: all that any report about contents is made from, and all that the cache keeps.

use serde::{Deserialize, Serialize};

use crate::owner::Part;

/// One layer, read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerFacts {
    /// Its entries, in the order of its tar.
    pub entries: Vec<Entry>,
    /// What package managers say in it.
    pub notes: Vec<Note>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// From the image's root, without slashes at its ends.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File {
        /// Unpacked bytes.
        bytes: u64,
        /// XXH3 of its content, 128 bits; none for sparse and empty files.
        hash: Option<u128>,
        /// What is special about it where it is a program or a library.
        elf: Option<Box<Elf>>,
    },
    /// Another name for a file.
    HardLink(String),
    /// A symbolic link.
    Symlink(String),
    /// A folder.
    Folder,
    /// A device or a pipe.
    Other,
    /// The path is deleted from lower layers.
    Whiteout,
    /// The folder's content in lower layers is deleted.
    Opaque,
}

/// An ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elf {
    /// Bytes of symbols and debugging sections, which stripping removes.
    pub strippable: u64,
    /// Whether rustc signed it.
    pub rust: bool,
    /// The crates that it says it is made from.
    pub crates: Vec<Part>,
    /// What it asks of the loader; none where it is linked statically, or too large to be looked at whole.
    pub dynamic: Option<Box<Dynamic>>,
}

/// What a program or a library asks of the loader.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    /// The processor's number (`e_machine`): the loader passes over libraries for another.
    pub machine: u16,
    /// Whether it is a 64-bit one.
    pub wide: bool,
    /// The loader itself, in programs.
    pub interpreter: Option<String>,
    /// Libraries that must be there.
    pub needed: Vec<String>,
    /// The name under which others need it.
    pub soname: Option<String>,
    /// Folders in which it and those that it loads look first.
    pub rpath: Option<String>,
    /// Folders in which it alone looks.
    pub runpath: Option<String>,
}

/// What a file of a package manager says. It holds as long as no later layer hides that file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The file.
    pub path: String,
    /// What it says.
    pub says: Says,
}

/// See [`Note`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Says {
    /// These packages are installed (`var/lib/dpkg/status`, `status.d/NAME`).
    Dpkg(Vec<Package>),
    /// This package's files (`info/NAME.list`, `status.d/NAME.md5sums`).
    DpkgFiles {
        /// The package.
        package: String,
        /// Its files and folders.
        files: Vec<String>,
    },
    /// A Python distribution's name (`METADATA`, `PKG-INFO`).
    Dist(Package),
    /// A Python distribution's files (`RECORD`).
    DistFiles(Vec<String>),
    /// The distribution was installed from a folder: it is somebody's own code (PEP 610).
    DistIsLocal,
    /// Folders that the loader's list names (`ld.so.conf`, ldconfig(8)).
    LoaderFolders(Vec<String>),
    /// The program that runs this script, from its first line.
    Script(String),
    /// An npm package (`package.json`).
    Npm(Package),
    /// The distribution's ID and version (`os-release`).
    Os {
        /// `debian`.
        id: String,
        /// `13`.
        version: String,
        /// For people.
        name: String,
    },
}

/// A package by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Processor architecture, where the kind of package has one.
    pub architecture: Option<String>,
    /// What its metadata says of its licence: an SPDX expression or some words.
    pub licence: Option<String>,
    /// Names of its licence files, where its metadata lists them (Python: `License-File`, PEP 639).
    pub licence_files: Vec<String>,
}
