//! Kinds of what an image could do without.

use serde::{Deserialize, Serialize};

/// Kinds of what could go. A file counts for the first that fits, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OpportunityKind {
    /// Files that a later layer hides.
    Waste,
    /// CUDA in an image that declares no GPU.
    Cuda,
    /// Compilers and what only compiling needs.
    Compilers,
    /// Caches and lists of package managers, logs, temporary files.
    Caches,
    /// Tests of packages.
    Tests,
    /// C and C++ headers.
    Headers,
    /// Static libraries.
    StaticLibraries,
    /// Source maps.
    SourceMaps,
    /// Manuals and documentation, licences excepted.
    Docs,
    /// Translations.
    Locales,
    /// Byte-code beside the sources that it comes from.
    ByteCode,
    /// Web files that are there packed and plain.
    WebTwice,
    /// Web files that are there plain alone.
    WebPlain,
    /// Symbols and debugging sections of ELF files.
    Unstripped,
    /// Equal files under several paths.
    Duplicates,
}

impl OpportunityKind {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            OpportunityKind::Waste => "hidden by later layers",
            OpportunityKind::Cuda => "CUDA in a CPU image",
            OpportunityKind::Compilers => "compilers",
            OpportunityKind::Caches => "caches and lists",
            OpportunityKind::Tests => "tests",
            OpportunityKind::Headers => "headers",
            OpportunityKind::StaticLibraries => "static libraries",
            OpportunityKind::SourceMaps => "source maps",
            OpportunityKind::Docs => "documentation",
            OpportunityKind::Locales => "locales",
            OpportunityKind::ByteCode => "byte-code",
            OpportunityKind::WebTwice => "web files twice",
            OpportunityKind::WebPlain => "uncompressed web files",
            OpportunityKind::Unstripped => "unstripped ELF",
            OpportunityKind::Duplicates => "duplicates",
        }
    }

    /// Why these bytes may go.
    pub fn reason(self) -> &'static str {
        match self {
            OpportunityKind::Waste => {
                "a layer holds them, a later one replaces or deletes them: pulled, never seen"
            }
            OpportunityKind::Cuda => {
                "code for NVIDIA's GPUs, and nothing in the image's environment asks for one"
            }
            OpportunityKind::Compilers => "nothing is compiled where the service runs, but for an intruder",
            OpportunityKind::Caches => "what package managers and installers left behind for their next run",
            OpportunityKind::Tests => "tests of packages, which nobody runs in the image",
            OpportunityKind::Headers => "read by compilers only",
            OpportunityKind::StaticLibraries => "read by linkers only",
            OpportunityKind::SourceMaps => "for debuggers, and they show the source to every visitor",
            OpportunityKind::Docs => "read by people at a terminal; licences are not counted here",
            OpportunityKind::Locales => "translations for interactive users",
            OpportunityKind::ByteCode => "made from the source beside it, so one of the two can go",
            OpportunityKind::WebTwice => "the plain form stands beside the packed one",
            OpportunityKind::WebPlain => "sent or packed anew at every request",
            OpportunityKind::Unstripped => "symbols and debugging sections, which the loader never reads",
            OpportunityKind::Duplicates => "the same content under several paths",
        }
    }

    /// What to do about them.
    pub fn remedy(self) -> &'static str {
        match self {
            OpportunityKind::Waste => "delete in the RUN that creates, or copy the result from a build stage",
            OpportunityKind::Cuda => "install the CPU build of the framework",
            OpportunityKind::Compilers => "compile in a build stage and copy the result",
            OpportunityKind::Caches => "--no-cache-dir, a cache mount, or rm -rf in the same RUN",
            OpportunityKind::Tests => "remove tests folders of installed packages in the build stage",
            OpportunityKind::Headers => "leave -dev packages and include folders in the build stage",
            OpportunityKind::StaticLibraries => "leave *.a in the build stage",
            OpportunityKind::SourceMaps => "build without source maps, or delete *.map",
            OpportunityKind::Docs => "leave out /usr/share/doc (but copyright), man and info",
            OpportunityKind::Locales => "leave out /usr/share/locale; LANG=C.UTF-8 needs none",
            OpportunityKind::ByteCode => {
                "pip --no-compile with PYTHONDONTWRITEBYTECODE=1 (starts slower), or keep byte-code alone"
            }
            OpportunityKind::WebTwice => {
                "keep the packed form and let the server unpack for the few who need it"
            }
            OpportunityKind::WebPlain => "gzip -9k at build time, and serve the packed form",
            OpportunityKind::Unstripped => {
                "strip --strip-unneeded, or strip = \"symbols\" in a Cargo profile"
            }
            OpportunityKind::Duplicates => "a link instead of each further copy",
        }
    }
}
