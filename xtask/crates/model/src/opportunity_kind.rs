//! Kinds of files an image could do without.

use serde::{Deserialize, Serialize};

/// Kinds of removable files. A file belongs to the first kind that matches, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OpportunityKind {
    /// Files hidden by a later layer.
    Waste,
    /// Files that a later layer writes again only to change owner or mode.
    Rewritten,
    /// CUDA in an image that does not use GPUs.
    Cuda,
    /// Compilers and other build tools.
    Compilers,
    /// Caches and package lists, logs, temporary files.
    Caches,
    /// Test suites of packages.
    Tests,
    /// C and C++ headers.
    Headers,
    /// Static libraries.
    StaticLibraries,
    /// Source maps.
    SourceMaps,
    /// Manuals and documentation except licences.
    Docs,
    /// Translations.
    Locales,
    /// Byte-code next to its source.
    ByteCode,
    /// Web files present both compressed and uncompressed.
    WebTwice,
    /// Web files present only uncompressed.
    WebPlain,
    /// ELF files with symbols and debug sections.
    Unstripped,
    /// Equal files at several paths.
    Duplicates,
}

impl OpportunityKind {
    /// The label in tables.
    pub fn words(self) -> &'static str {
        match self {
            OpportunityKind::Waste => "hidden by later layers",
            OpportunityKind::Rewritten => "rewritten by later layers",
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

    /// Why these files can be removed.
    pub fn reason(self) -> &'static str {
        match self {
            OpportunityKind::Waste => {
                "a later layer replaces or deletes them: they are pulled and never visible"
            }
            OpportunityKind::Rewritten => {
                "a later layer contains them again with the same content, only to change owner, mode or time"
            }
            OpportunityKind::Cuda => {
                "code for NVIDIA GPUs, which nothing in the image's environment requests"
            }
            OpportunityKind::Compilers => "a running service never compiles, but an attacker could",
            OpportunityKind::Caches => "left behind by package managers and installers",
            OpportunityKind::Tests => "test suites of packages, which nobody runs in the image",
            OpportunityKind::Headers => "used only by compilers",
            OpportunityKind::StaticLibraries => "used only by linkers",
            OpportunityKind::SourceMaps => "for debuggers; they also show the source to every visitor",
            OpportunityKind::Docs => "for interactive users; licences are not counted",
            OpportunityKind::Locales => "translations for interactive users",
            OpportunityKind::ByteCode => "generated from the source next to it: one of the two is enough",
            OpportunityKind::WebTwice => "present both compressed and uncompressed",
            OpportunityKind::WebPlain => "sent uncompressed, or compressed again for every request",
            OpportunityKind::Unstripped => "symbols and debug sections, which the loader never reads",
            OpportunityKind::Duplicates => "the same content at several paths",
        }
    }

    /// How to remove them.
    pub fn remedy(self) -> &'static str {
        match self {
            OpportunityKind::Waste => {
                "delete them in the RUN that creates them, or copy the result from a build stage"
            }
            OpportunityKind::Rewritten => {
                "set owner and mode where the files are made: COPY --chown and --chmod, or chown in the same RUN"
            }
            OpportunityKind::Cuda => "install the CPU build of the framework",
            OpportunityKind::Compilers => "compile in a build stage and copy the result",
            OpportunityKind::Caches => {
                "a cache mount (RUN --mount=type=cache,target=DIR), --no-cache-dir, or rm -rf in the same RUN"
            }
            OpportunityKind::Tests => "delete the test folders of installed packages in the build stage",
            OpportunityKind::Headers => "keep -dev packages and include folders in the build stage",
            OpportunityKind::StaticLibraries => "keep *.a in the build stage",
            OpportunityKind::SourceMaps => "build without source maps, or delete *.map",
            OpportunityKind::Docs => "exclude /usr/share/doc (except copyright), man and info",
            OpportunityKind::Locales => "exclude /usr/share/locale; LANG=C.UTF-8 needs none",
            OpportunityKind::ByteCode => {
                "pip --no-compile with PYTHONDONTWRITEBYTECODE=1 (starts slower), or keep only byte-code"
            }
            OpportunityKind::WebTwice => {
                "keep the compressed file and let the server decompress it for the few clients that need it"
            }
            OpportunityKind::WebPlain => "gzip -9k at build time and serve the compressed file",
            OpportunityKind::Unstripped => {
                "strip --strip-unneeded, or strip = \"symbols\" in a Cargo profile"
            }
            OpportunityKind::Duplicates => "replace further copies with links",
        }
    }
}
