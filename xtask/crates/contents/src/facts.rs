//! What is learned from reading a layer once. Every report about contents is made from it, and the cache stores it.

use serde::{Deserialize, Serialize};

/// ELF files up to this size are parsed whole. Larger ones may lack `dynamic`: their names may be far from both ends.
pub const MAX_WHOLE_ELF: u64 = 32_000_000;

/// One layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerFacts {
    /// Its entries, in the order of its tar.
    pub entries: Vec<LayerEntry>,
    /// What files say about packages and programs.
    pub metadata: Vec<MetadataFile>,
}

/// One entry of a layer's tar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerEntry {
    /// From the image's root, without slashes at its ends.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// The IDs of its user and its group.
    pub owner: [u32; 2],
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// Unpacked bytes.
        bytes: u64,
        /// XXH3 of its content, 128 bits; `None` for sparse and empty files.
        hash: Option<u128>,
        /// For a program or a library.
        elf: Option<Box<Elf>>,
    },
    /// A hard link, with its target.
    HardLink(String),
    /// A symbolic link, with its target.
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
    /// Whether rustc compiled it.
    pub rust: bool,
    /// The crates in it, from cargo-auditable's list.
    pub crates: Vec<LinkedCrate>,
    /// What Go recorded when it was built.
    pub go: Option<Box<GoBuild>>,
    /// Its code by crate or Go package, if it has symbols or Go's function table; largest first.
    pub code: Vec<InsideBytes>,
    /// What it asks of the loader; `None` if it is linked statically or too large, see [`MAX_WHOLE_ELF`].
    pub dynamic: Option<Box<Dynamic>>,
}

/// A crate in a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkedCrate {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

/// What Go records in a program (`debug/buildinfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoBuild {
    /// Go's version, without `go`.
    pub version: String,
    /// The path of the main package.
    pub path: String,
    /// The main module; none without module support.
    pub main: Option<Module>,
    /// The modules that were linked into it, each as it was replaced.
    pub modules: Vec<Module>,
}

/// A Go module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Module {
    /// Its path, such as `golang.org/x/text`.
    pub path: String,
    /// Its version; none for one that was built from a folder.
    pub version: Option<String>,
}

/// Part of a file, with its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsideBytes {
    /// A crate, a Go package or a nested archive.
    pub name: String,
    /// Its bytes: machine code for a crate or a Go package, packed bytes for a nested archive.
    pub bytes: u64,
}

/// What a program or a library asks of the dynamic loader.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dynamic {
    /// The processor (`e_machine`): the loader skips libraries for another.
    pub machine: u16,
    /// Whether it is a 64-bit file.
    pub wide: bool,
    /// The loader, for programs.
    pub interpreter: Option<String>,
    /// The libraries that it needs.
    pub needed: Vec<String>,
    /// The name under which others need it.
    pub soname: Option<String>,
    /// Folders that are searched first for it and for the libraries that it loads.
    pub rpath: Option<String>,
    /// Folders that are searched for it alone.
    pub runpath: Option<String>,
}

/// A file that describes packages or programs. It counts as long as no later layer hides it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataFile {
    /// From the image's root.
    pub path: String,
    /// What it says.
    pub metadata: Metadata,
}

/// What a [`MetadataFile`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Metadata {
    /// Installed Debian packages (`var/lib/dpkg/status`, `status.d/NAME`).
    Dpkg(Vec<Package>),
    /// The files of a Debian package (`info/NAME.list`, `info/NAME.md5sums`, `status.d/NAME.md5sums`).
    DpkgFiles {
        /// The package's name.
        package: String,
        /// Its files and folders.
        files: Vec<String>,
        /// The MD5 sums of its files (`info/NAME.md5sums`, `status.d/NAME.md5sums`).
        md5: Vec<[u8; 16]>,
    },
    /// A Python distribution (`METADATA`, `PKG-INFO`).
    Dist(Package),
    /// The files of a Python distribution (`RECORD`).
    DistFiles {
        /// Their paths, from the folder of the distribution.
        files: Vec<String>,
        /// The SHA-256 sums of those that have one.
        sha256: Vec<[u8; 32]>,
    },
    /// The Python distribution was installed from a local folder (PEP 610).
    DistIsLocal,
    /// Folders that the loader searches (`ld.so.conf`, ldconfig(8)).
    LoaderFolders(Vec<String>),
    /// The first line of a script: its interpreter and arguments.
    Script(Vec<String>),
    /// The modules that a Python file imports outside of any block.
    PythonImports(Vec<String>),
    /// An npm package (`package.json`).
    Npm(Package),
    /// Packages of another package manager, with what belongs to them.
    Installed(Vec<Installed>),
    /// Why a file that describes packages could not be read, or not completely.
    Note(String),
    /// The operating system (`os-release`).
    Os {
        /// `debian`.
        id: String,
        /// `13`.
        version: String,
        /// `Debian GNU/Linux 13 (trixie)`.
        name: String,
        /// `trixie`.
        codename: Option<String>,
    },
}

/// A package ecosystem, with its own names and versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ecosystem {
    /// Alpine packages.
    Apk,
    /// RPM packages.
    Rpm,
    /// Conda packages.
    Conda,
    /// Ruby gems.
    Gem,
    /// PHP packages (Composer).
    Composer,
    /// Java artifacts, named `GROUP:ARTIFACT`, or `ARTIFACT` where the group is unknown.
    Maven,
    /// .NET packages.
    Nuget,
    /// A published .NET project that is not a package.
    Project,
    /// Crates of crates.io.
    Cargo,
    /// Go modules.
    Golang,
}

/// An installed package with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its ecosystem.
    pub ecosystem: Ecosystem,
    /// Its name and version.
    pub package: Package,
    /// Further parts of its package URL, as `KEY=VALUE`, sorted.
    pub qualifiers: Vec<(String, String)>,
    /// Its files, from the image's root.
    pub files: Vec<String>,
    /// Folders that belong to it, from the image's root. `/*/*/` matches any two folders before the last.
    pub folders: Vec<String>,
    /// The packages inside of its file.
    pub parts: Vec<Part>,
    /// The bytes of what is inside of its file.
    pub inside: Vec<InsideBytes>,
}

impl Installed {
    /// A package without files.
    pub fn new(ecosystem: Ecosystem, name: impl Into<String>, version: impl Into<String>) -> Installed {
        let package = Package { name: name.into(), version: version.into(), ..Package::default() };
        let (files, folders, parts, inside) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Installed { ecosystem, package, qualifiers: Vec::new(), files, folders, parts, inside }
    }
}

/// A package that was built into a program or an archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Its ecosystem.
    pub ecosystem: Ecosystem,
    /// Name.
    pub name: String,
    /// Version; empty if it is unknown.
    pub version: String,
}

/// The source package of a Debian package. Debian's security tracker lists these.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourcePackage {
    /// Name.
    pub name: String,
    /// Version, which differs from the binary package's after a rebuild without changes.
    pub version: String,
}

/// An installed package.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Debian: the processor architecture.
    pub architecture: Option<String>,
    /// Debian: the source package that it was built from.
    pub source: Option<SourcePackage>,
    /// The licence that its metadata declares: an SPDX expression or a name.
    pub licence: Option<String>,
    /// Python: its licence files (`License-File`, PEP 639).
    pub licence_files: Vec<String>,
}
