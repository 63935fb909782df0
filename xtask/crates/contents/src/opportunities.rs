//! What an image could do without. A file counts for one kind of opportunity at most, so that their sum is real.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::facts::Kind;
use crate::opportunity::Opportunity;
use crate::owner::{Owner, OwnerKind};
use crate::owners::{Hints, Owned, keep_largest, source_of};
use crate::record::FileBytes;
use crate::tree::{Seen, Tree};
use crate::waste::{Duplicates, Group, Waste};
use model::bytes::Bytes;
use model::opportunity_kind::OpportunityKind;

/// How many files of an opportunity its record names.
const LARGEST: usize = 10;
/// How many groups of equal files the record names.
const GROUPS: usize = 50;
/// How many paths of a group the record names.
const PATHS: usize = 20;
/// Web files below this size gain nothing by packing.
const LEAST_WEB: u64 = 512;
/// What a stripped file may keep: not worth a line.
const LEAST_SYMBOLS: u64 = 4096;

/// Files with equal content that a container sees.
pub fn duplicates(files: &[Seen<'_>]) -> Duplicates {
    let groups = equal(files.iter());
    let mut found = Duplicates::default();
    for group in groups {
        let each = group[0].bytes;
        let extra = each * (group.len() as u64 - 1);
        found.bytes = found.bytes + Bytes(extra);
        found.files += group.len() as u64 - 1;
        let paths = group.iter().take(PATHS).map(|file| file.path.to_owned()).collect();
        found.largest.push(Group { each: Bytes(each), extra: Bytes(extra), paths });
    }
    found.largest.sort_by(|a, b| b.extra.cmp(&a.extra).then_with(|| a.paths.cmp(&b.paths)));
    found.largest.truncate(GROUPS);
    found
}

/// Groups of two or more equal files, in the order of their first paths.
fn equal<'s, 'f: 's>(files: impl Iterator<Item = &'s Seen<'f>>) -> Vec<Vec<&'s Seen<'f>>> {
    let mut by_content: HashMap<(u128, u64), Vec<&Seen<'_>>> = HashMap::new();
    for file in files {
        if let Kind::File { hash: Some(hash), bytes, .. } = file.kind {
            by_content.entry((*hash, *bytes)).or_default().push(file);
        }
    }
    let mut groups: Vec<Vec<&Seen<'_>>> = by_content.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_by_key(|group| group[0].path);
    groups
}

/// Everything that could go, largest first.
pub fn find(tree: &Tree<'_>, owned: &Owned<'_>, hints: &Hints, waste: &Waste) -> Vec<Opportunity> {
    let mut found = Found::default();
    let gpu = hints.env.iter().any(|pair| pair.starts_with("NVIDIA_") || pair.starts_with("CUDA_VERSION="));
    let sight = Sight { tree, gpu };
    let mut rest = Vec::new();
    for (file, owner) in owned.files.iter().zip(&owned.of) {
        match sight.kind_of(file, &owned.owners[*owner]) {
            Some(kind) => found.add(kind, file, file.bytes),
            None => rest.push(*file),
        }
    }
    // Of equal files all but the first; of the others the symbols.
    let copies: HashSet<&str> = equal(rest.iter())
        .into_iter()
        .flat_map(|group| group.into_iter().skip(1))
        .map(|file| file.path)
        .collect();
    for file in &rest {
        let strippable = match file.kind {
            Kind::File { elf: Some(elf), bytes, .. } => elf.strippable.min(*bytes),
            _ => 0,
        };
        if copies.contains(file.path) {
            found.add(OpportunityKind::Duplicates, file, file.bytes);
        } else if strippable >= LEAST_SYMBOLS {
            found.add(OpportunityKind::Unstripped, &Seen { bytes: strippable, ..*file }, strippable);
        }
    }
    let mut all: Vec<Opportunity> = found.0.into_values().filter(|found| found.bytes.0 > 0).collect();
    if waste.bytes.0 > 0 {
        let hidden = waste.largest.iter().take(LARGEST);
        let largest = hidden.map(|file| FileBytes { path: file.path.clone(), bytes: file.bytes }).collect();
        let empty = Opportunity::empty(OpportunityKind::Waste);
        all.push(Opportunity { bytes: waste.bytes, files: waste.files, largest, ..empty });
    }
    all.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.kind.cmp(&b.kind)));
    all
}

#[derive(Default)]
struct Found(BTreeMap<OpportunityKind, Opportunity>);

impl Found {
    fn add(&mut self, kind: OpportunityKind, file: &Seen<'_>, bytes: u64) {
        let found = self.0.entry(kind).or_insert_with(|| Opportunity::empty(kind));
        found.bytes = found.bytes + Bytes(bytes);
        found.files += 1;
        keep_largest(&mut found.largest, file, LARGEST);
    }
}

struct Sight<'t, 'f> {
    tree: &'t Tree<'f>,
    /// Whether the image says that it is for a GPU.
    gpu: bool,
}

impl Sight<'_, '_> {
    fn kind_of(&self, file: &Seen<'_>, owner: &Owner) -> Option<OpportunityKind> {
        if file.bytes == 0 {
            return None;
        }
        let path = file.path;
        let name = path.rsplit('/').next().unwrap_or(path);
        // Licences stay, wherever they lie.
        if is_licence(path, name) {
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
            (OpportunityKind::WebTwice, self.is_packed_too(file, owner)),
            (OpportunityKind::WebPlain, self.is_plain(file, owner)),
        ];
        all.into_iter().find(|(_, fits)| *fits).map(|(kind, _)| kind)
    }

    fn has_source(&self, path: &str) -> bool {
        source_of(path).is_some_and(|source| self.tree.file_at(&source).is_some())
    }

    fn is_packed_too(&self, file: &Seen<'_>, owner: &Owner) -> bool {
        owner.kind == OwnerKind::Static && self.packed(file.path)
    }

    fn is_plain(&self, file: &Seen<'_>, owner: &Owner) -> bool {
        let endings = [".js", ".mjs", ".css", ".html", ".svg", ".json", ".txt", ".xml", ".wasm", ".ttf"];
        owner.kind == OwnerKind::Static
            && file.bytes >= LEAST_WEB
            && endings.iter().any(|ending| file.path.ends_with(ending))
            && !self.packed(file.path)
    }

    fn packed(&self, path: &str) -> bool {
        ["gz", "br", "zst"].iter().any(|ending| self.tree.file_at(&format!("{path}.{ending}")).is_some())
    }
}

fn is_licence(path: &str, name: &str) -> bool {
    let name = name.to_lowercase();
    let starts = ["licen", "copying", "copyright", "notice", "thirdpartynotice", "third-party", "authors"];
    starts.iter().any(|start| name.starts_with(start)) || path.contains("/licenses/")
}

/// NVIDIA's wheels and libraries, and what frameworks build upon them.
fn is_cuda(name: &str, owner: &Owner) -> bool {
    let by_owner = owner.kind == OwnerKind::Python
        && (owner.name.starts_with("nvidia-")
            || owner.name.starts_with("nvidia_")
            || owner.name.starts_with("cuda-")
            || owner.name == "triton");
    let stem = name.split(".so").next().unwrap_or_default();
    let libraries = [
        "libtorch_cuda",
        "libc10_cuda",
        "libcudart",
        "libcublas",
        "libcudnn",
        "libcufft",
        "libcurand",
        "libcusolver",
        "libcusparse",
        "libnccl",
        "libnvrtc",
        "libnvJitLink",
        "libcupti",
        "libonnxruntime_providers_cuda",
        "libonnxruntime_providers_tensorrt",
        "libnvinfer",
        "libcaffe2_nvrtc",
        "libnvshmem",
        "libcufile",
    ];
    by_owner || (name.contains(".so") && libraries.iter().any(|library| stem.starts_with(library)))
}

/// Debian's compilers, their back ends, and tools that only builds use.
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
            // `gcc-14-base` holds a licence and nothing else.
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

/// Folders of tests in what package managers of languages installed.
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

fn is_doc(path: &str) -> bool {
    let folders =
        ["share/doc/", "share/man/", "share/info/", "share/gtk-doc/", "share/doc-base/", "share/lintian/"];
    let shared = path.strip_prefix("usr/").map(|rest| rest.strip_prefix("local/").unwrap_or(rest));
    shared.is_some_and(|rest| folders.iter().any(|folder| rest.starts_with(folder)))
}

fn is_locale(path: &str) -> bool {
    let shared = path.strip_prefix("usr/").map(|rest| rest.strip_prefix("local/").unwrap_or(rest));
    let folders = ["share/locale/", "share/i18n/", "lib/locale/"];
    shared.is_some_and(|rest| {
        folders.iter().any(|folder| rest.starts_with(folder)) && !rest.to_lowercase().contains("/c.utf")
    })
}
