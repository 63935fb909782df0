//! The rules for opportunities. A file counts for one kind of opportunity at most, so that they can be added up.

use std::collections::{BTreeMap, HashSet};

use crate::attribution::Attribution;
use crate::attribution::python::source_of;
use crate::duplicates;
use crate::file_bytes::FileBytes;
use crate::hints::Hints;
use crate::opportunity::Opportunity;
use crate::owner::{Owner, OwnerKind};
use crate::tree::{Tree, VisibleFile};
use crate::waste::{Waste, WastedFile};
use model::bytes::Bytes;
use model::opportunity_kind::OpportunityKind;

/// How many files of an opportunity are listed.
const LARGEST: usize = 10;
/// Smaller web files gain nothing by compression.
const MIN_WEB: u64 = 512;
/// Fewer bytes of symbols are not worth stripping.
const MIN_SYMBOLS: u64 = 4096;

/// Everything that an image could do without, largest first.
pub fn find(
    tree: &Tree<'_>,
    attribution: &Attribution<'_>,
    hints: &Hints,
    waste: &Waste,
) -> Vec<Opportunity> {
    let mut found = Found::default();
    let gpu = hints.env.iter().any(|pair| pair.starts_with("NVIDIA_") || pair.starts_with("CUDA_VERSION="));
    let rules = Rules { tree, gpu };
    let mut rest = Vec::new();
    for (file, owner) in attribution.files.iter().zip(&attribution.owner_of) {
        match rules.kind_of(file, &attribution.owners[*owner]) {
            Some(kind) => found.add(kind, file, file.bytes),
            None => rest.push(*file),
        }
    }
    // Of equal files all but the first; of the others the symbols.
    let groups = duplicates::groups(&rest).into_iter();
    let copies: HashSet<&str> =
        groups.flat_map(|group| group.into_iter().skip(1)).map(|file| file.path).collect();
    for file in &rest {
        let strippable = file.elf.map_or(0, |elf| elf.strippable.min(file.bytes));
        if copies.contains(file.path) {
            found.add(OpportunityKind::Duplicates, file, file.bytes);
        } else if strippable >= MIN_SYMBOLS {
            found.add(OpportunityKind::Unstripped, file, strippable);
        }
    }
    let mut all: Vec<Opportunity> = found.0.into_values().filter(|found| found.bytes.0 > 0).collect();
    let rewritten = (OpportunityKind::Rewritten, waste.rewritten, waste.rewritten_files);
    let hidden = (waste.bytes - waste.rewritten, waste.files - waste.rewritten_files);
    for (kind, bytes, files) in [(OpportunityKind::Waste, hidden.0, hidden.1), rewritten] {
        if bytes.0 > 0 {
            let is_of = |file: &&WastedFile| file.rewritten == (kind == OpportunityKind::Rewritten);
            let largest = waste.largest.iter().filter(is_of).take(LARGEST);
            let largest =
                largest.map(|file| FileBytes { path: file.path.clone(), bytes: file.bytes }).collect();
            all.push(Opportunity { bytes, files, largest, ..Opportunity::empty(kind) });
        }
    }
    all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.kind.cmp(&b.kind)));
    all
}

#[derive(Default)]
struct Found(BTreeMap<OpportunityKind, Opportunity>);

impl Found {
    fn add(&mut self, kind: OpportunityKind, file: &VisibleFile<'_>, bytes: u64) {
        let found = self.0.entry(kind).or_insert_with(|| Opportunity::empty(kind));
        found.bytes = found.bytes + Bytes(bytes);
        found.files += 1;
        FileBytes::keep_largest(&mut found.largest, file.path, bytes, LARGEST);
    }
}

struct Rules<'t, 'f> {
    tree: &'t Tree<'f>,
    /// Whether the image is built for GPUs.
    gpu: bool,
}

impl Rules<'_, '_> {
    fn kind_of(&self, file: &VisibleFile<'_>, owner: &Owner) -> Option<OpportunityKind> {
        let (path, name) = (file.path, file.name());
        // Licences must stay.
        if file.bytes == 0 || is_licence(path, name) {
            return None;
        }
        let all = [
            (OpportunityKind::Cuda, !self.gpu && is_cuda(name, owner)),
            (OpportunityKind::Compilers, is_compiler(path, owner)),
            (OpportunityKind::Caches, is_cache(path)),
            (OpportunityKind::Tests, is_test(path)),
            (OpportunityKind::Headers, is_header(path, name)),
            (
                OpportunityKind::StaticLibraries,
                name.ends_with(".a") && name.starts_with("lib") || name.ends_with(".la"),
            ),
            (OpportunityKind::SourceMaps, is_map(name)),
            (OpportunityKind::Docs, is_doc(path)),
            (OpportunityKind::Locales, is_locale(path)),
            (OpportunityKind::ByteCode, self.has_source(path)),
            (OpportunityKind::WebTwice, owner.kind == OwnerKind::Static && self.is_compressed(path)),
            (OpportunityKind::WebPlain, owner.kind == OwnerKind::Static && self.is_compressible(file)),
        ];
        all.into_iter().find(|(_, fits)| *fits).map(|(kind, _)| kind)
    }

    fn has_source(&self, path: &str) -> bool {
        source_of(path).is_some_and(|source| self.tree.file_at(&source).is_some())
    }

    fn is_compressed(&self, path: &str) -> bool {
        ["gz", "br", "zst"].iter().any(|ending| self.tree.file_at(&format!("{path}.{ending}")).is_some())
    }

    fn is_compressible(&self, file: &VisibleFile<'_>) -> bool {
        let endings = [".js", ".mjs", ".css", ".html", ".svg", ".json", ".txt", ".xml", ".wasm", ".ttf"];
        file.bytes >= MIN_WEB
            && endings.iter().any(|ending| file.path.ends_with(ending))
            && !self.is_compressed(file.path)
    }
}

fn is_licence(path: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let starts = ["licen", "copying", "copyright", "notice", "thirdpartynotice", "third-party", "authors"];
    starts.iter().any(|start| name.starts_with(start)) || path.contains("/licenses/")
}

/// NVIDIA's wheels and libraries, and the parts of frameworks that need them.
fn is_cuda(name: &str, owner: &Owner) -> bool {
    let by_owner = owner.kind == OwnerKind::Python
        && (owner.name.starts_with("nvidia-")
            || owner.name.starts_with("nvidia_")
            || owner.name.starts_with("cuda-")
            || owner.name == "triton");
    let stem = name.split(".so").next().unwrap_or_default();
    let libraries = "libtorch_cuda libc10_cuda libcudart libcublas libcudnn libcufft libcurand libcusolver libcusparse \
        libnccl libnvrtc libnvJitLink libcupti libonnxruntime_providers_cuda libonnxruntime_providers_tensorrt libnvinfer \
        libcaffe2_nvrtc libnvshmem libcufile";
    by_owner || (name.contains(".so") && libraries.split(' ').any(|library| stem.starts_with(library)))
}

/// Compilers and build tools, from Debian or as runtimes.
fn is_compiler(path: &str, owner: &Owner) -> bool {
    match owner.kind {
        OwnerKind::Dpkg => {
            let name = owner.name.as_str();
            let after = |start: &str| {
                name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            let tools = [
                "gcc", "g++", "cpp", "clang", "llvm", "gfortran", "binutils", "make", "cmake", "ninja",
                "rustc", "cargo", "golang", "autoconf", "automake", "dpkg-dev",
            ];
            // `gcc-14-base` contains only a licence.
            (tools.iter().any(|tool| after(tool)) && !name.ends_with("-base")) || name == "ninja-build"
        }
        OwnerKind::Runtime => path.contains("/rustup/") || (owner.name == "go"),
        _ => false,
    }
}

fn is_cache(path: &str) -> bool {
    let folders = [
        "var/cache/",
        "var/lib/apt/lists/",
        "var/log/",
        "tmp/",
        "var/tmp/",
        "root/.cache/",
        "root/.npm/",
        "root/.cargo/registry/",
        "usr/local/cargo/registry/",
    ];
    let in_home = || path.starts_with("home/") && (path.contains("/.cache/") || path.contains("/.npm/"));
    folders.iter().any(|folder| path.starts_with(folder))
        || in_home()
        || path.ends_with("-old") && path.starts_with("var/lib/dpkg/")
}

/// Test folders of language packages and of Python's standard library.
fn is_test(path: &str) -> bool {
    let installed = ["/site-packages/", "/dist-packages/", "node_modules/"];
    let inside = installed.iter().find_map(|marker| path.split_once(marker)).map(|(_, inside)| inside);
    let standard = || {
        let (_, rest) = path.split_once("lib/python3")?;
        rest.split_once('/').map(|(_, inside)| inside)
    };
    let Some(inside) = inside.or_else(standard) else { return false };
    let folders = inside.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').any(|folder| matches!(folder, "tests" | "test" | "__tests__"))
}

fn is_header(path: &str, name: &str) -> bool {
    let endings = [".h", ".hpp", ".hh", ".hxx", ".cuh", ".inl", ".pxd"];
    let in_place = path.starts_with("usr/include/") || path.starts_with("usr/local/include/");
    in_place || endings.iter().any(|ending| name.ends_with(ending))
}

fn is_map(name: &str) -> bool {
    [".js.map", ".mjs.map", ".cjs.map", ".css.map", ".ts.map"].iter().any(|ending| name.ends_with(ending))
}

/// The rest of a path below `usr/` or `usr/local/`.
fn below_usr(path: &str) -> Option<&str> {
    path.strip_prefix("usr/").map(|rest| rest.strip_prefix("local/").unwrap_or(rest))
}

fn is_doc(path: &str) -> bool {
    let folders =
        ["share/doc/", "share/man/", "share/info/", "share/gtk-doc/", "share/doc-base/", "share/lintian/"];
    below_usr(path).is_some_and(|rest| folders.iter().any(|folder| rest.starts_with(folder)))
}

fn is_locale(path: &str) -> bool {
    let folders = ["share/locale/", "share/i18n/", "lib/locale/"];
    below_usr(path).is_some_and(|rest| {
        folders.iter().any(|folder| rest.starts_with(folder)) && !rest.to_lowercase().contains("/c.utf")
    })
}
