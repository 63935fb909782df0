//! What files without a record are like: npm's modules, runtimes of upstream images, programs, models, web files, the
//! service's own code.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::facts::{Kind, Note, Says};
use crate::notes::npm_root;
use crate::owner::OwnerKind;
use crate::owners::claims::Claims;
use crate::owners::python::source_of;
use crate::owners::{Hints, encoded, is_elf};
use crate::tree::{Seen, Tree};

/// Endings of weights, whatever their size.
const WEIGHTS: [&str; 10] =
    [".onnx", ".safetensors", ".gguf", ".ggml", ".pt", ".pth", ".ckpt", ".tflite", ".h5", ".onnx_data"];
/// A `.bin` is weights from this size on: below it may be anything.
const LEAST_BIN: u64 = 1_000_000;
/// Where servers look for their files.
const WEB_ROOTS: [&str; 4] =
    ["usr/share/nginx/html", "var/www/html", "usr/share/caddy", "usr/local/apache2/htdocs"];

/// Claims npm's modules. Returns how many packages say their name.
pub fn npm(notes: &[&Note], claims: &mut Claims<'_, '_>) -> u64 {
    let mut packages = HashMap::new();
    for note in notes {
        let (Says::Npm(package), Some(root)) = (&note.says, npm_root(&note.path)) else { continue };
        let owner = claims.version(OwnerKind::Npm, &package.name, &package.version);
        let about = claims.about(owner);
        about.licence.clone_from(&package.licence);
        // A scope's slash stays one.
        let name = encoded(&package.name).replace("%2F", "/");
        about.purl = Some(format!("pkg:npm/{name}@{}", encoded(&package.version)));
        packages.insert(root, owner);
    }
    for file in claims.free() {
        let owner = match npm_root(file.path) {
            Some(root) => match packages.get(root) {
                Some(owner) => *owner,
                None => claims.owner(OwnerKind::Npm, root.rsplit("node_modules/").next().unwrap_or(root)),
            },
            None if file.path.contains("node_modules/.") => claims.owner(OwnerKind::Npm, "node_modules"),
            None => continue,
        };
        claims.claim(file.at, owner);
    }
    packages.len() as u64
}

/// Claims everything else that can be told by what it is like.
pub fn claim(tree: &Tree<'_>, hints: &Hints, claims: &mut Claims<'_, '_>) {
    runtimes(tree, hints, claims);
    models(hints, claims);
    web(claims);
    programs(claims);
    own(hints, claims);
}

/// A runtime: how it is told, and which paths below its prefix are its.
struct Runtime {
    name: String,
    /// The variable in which upstream images say its version.
    variable: &'static str,
    prefix: String,
    starts: Vec<String>,
}

/// Runtimes that upstream images unpack without a package manager.
fn runtimes(tree: &Tree<'_>, hints: &Hints, claims: &mut Claims<'_, '_>) {
    let mut found: Vec<Runtime> = Vec::new();
    for path in tree.paths() {
        if let Some(library) = path.strip_suffix("/os.py")
            && let Some((prefix, version)) = library.rsplit_once("/lib/python")
            && version.starts_with("3.")
            && !version.contains('/')
        {
            let starts = [
                &format!("lib/python{version}/"),
                &format!("include/python{version}/"),
                "bin/python",
                "bin/pip",
                "bin/idle",
                "bin/pydoc",
                "bin/2to3",
                "lib/libpython",
                "lib/pkgconfig/python",
                "share/man/man1/python",
            ];
            found.push(runtime("python", "PYTHON_VERSION", prefix, &starts));
        } else if let Some(prefix) = path.strip_suffix("/include/node/node_version.h") {
            let starts = [
                "bin/node",
                "include/node/",
                "share/doc/node/",
                "share/man/man1/node.1",
                "CHANGELOG.md",
                "README.md",
                "LICENSE",
            ];
            found.push(runtime("node", "NODE_VERSION", prefix, &starts));
        } else if let Some(prefix) = path.strip_suffix("/go/bin/go") {
            found.push(runtime("go", "GOLANG_VERSION", prefix, &["go/"]));
        } else if let Some((prefix, _)) = path.split_once("/rustup/toolchains/")
            && !found.iter().any(|runtime| runtime.name == "rust")
        {
            found.push(runtime("rust", "RUST_VERSION", prefix, &["rustup/", "cargo/"]));
        }
    }
    for runtime in found {
        let owner = claims.owner(OwnerKind::Runtime, &runtime.name);
        let value = hints.env.iter().find_map(|pair| pair.strip_prefix(runtime.variable)?.strip_prefix('='));
        claims.about(owner).version = value.map(str::to_owned);
        let below = format!("{}/", runtime.prefix);
        claims.offer(|file, _| {
            let rest = file.path.strip_prefix(&below)?;
            runtime.starts.iter().any(|start| rest.starts_with(start)).then_some(owner)
        });
    }
}

fn runtime(name: &str, variable: &'static str, prefix: &str, starts: &[&str]) -> Runtime {
    let starts = starts.iter().map(|start| (*start).to_owned()).collect();
    Runtime { name: name.to_owned(), variable, prefix: prefix.to_owned(), starts }
}

/// Whether a file holds weights.
fn is_weights(file: &Seen<'_>) -> bool {
    WEIGHTS.iter().any(|ending| file.path.ends_with(ending))
        || (file.path.ends_with(".bin") && file.bytes >= LEAST_BIN)
}

/// A model is its weights and what lies in the same folder: its tokenizer, its configuration.
fn models(hints: &Hints, claims: &mut Claims<'_, '_>) {
    let free = claims.free();
    let folders: BTreeSet<&str> = free
        .iter()
        .filter(|file| is_weights(file))
        .map(|file| file.path.rsplit_once('/').map_or("", |(folder, _)| folder))
        .collect();
    for file in free {
        let mut rest = file.path;
        let holder = loop {
            let folder = rest.rsplit_once('/').map_or("", |(folder, _)| folder);
            if folders.contains(folder) {
                break Some(folder);
            }
            if folder.is_empty() {
                break None;
            }
            rest = folder;
        };
        let Some(folder) = holder else { continue };
        // Where code and weights share a folder, only weights are told by where they are.
        let is_models_own = !folder.is_empty() && folder != hints.working_dir && !is_elf(&file);
        if is_weights(&file) || is_models_own {
            let name = if is_models_own { format!("/{folder}") } else { format!("/{}", file.path) };
            let owner = claims.owner(OwnerKind::Model, &name);
            claims.claim(file.at, owner);
        }
    }
}

/// Web files: below the roots that servers know, and below a folder with an `index.html`.
fn web(claims: &mut Claims<'_, '_>) {
    let free = claims.free();
    let index = free.iter().filter_map(|file| file.path.strip_suffix("/index.html"));
    let roots: BTreeSet<&str> = index.chain(WEB_ROOTS).collect();
    for file in free {
        // The topmost root: a site may hold sites.
        let ends = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
        if let Some(root) = ends.into_iter().find(|folder| roots.contains(folder)) {
            let owner = claims.owner(OwnerKind::Static, &format!("/{root}"));
            claims.claim(file.at, owner);
        }
    }
}

/// Programs and libraries that no package brought, with what lies in the folder of documentation that bears their name.
fn programs(claims: &mut Claims<'_, '_>) {
    let mut documented: BTreeMap<&str, usize> = BTreeMap::new();
    for file in claims.free() {
        let Kind::File { elf: Some(elf), .. } = file.kind else { continue };
        let kind = if elf.rust { OwnerKind::Rust } else { OwnerKind::Program };
        let owner = claims.owner(kind, &format!("/{}", file.path));
        claims.about(owner).parts.clone_from(&elf.crates);
        claims.claim(file.at, owner);
        documented.entry(file.path.rsplit('/').next().unwrap_or_default()).or_insert(owner);
    }
    claims.offer(|file, _| {
        let folder = file.path.strip_prefix("usr/share/doc/")?.split('/').next()?;
        documented.get(folder).copied()
    });
}

/// The service's own code: what its command line names, and what lies in the folder that it starts in.
fn own(hints: &Hints, claims: &mut Claims<'_, '_>) {
    let command: Vec<&str> = hints.command.iter().filter_map(|word| word.strip_prefix('/')).collect();
    let folders = [hints.working_dir.as_str(), "app"];
    for file in claims.free() {
        let folder = folders.iter().find(|folder| {
            !folder.is_empty() && file.path.strip_prefix(**folder).is_some_and(|rest| rest.starts_with('/'))
        });
        let is_named =
            || command.iter().any(|word| source_of(file.path).as_deref().unwrap_or(file.path) == *word);
        let name = match folder {
            Some(folder) => format!("/{folder}"),
            None if is_named() => format!("/{}", file.path),
            None => continue,
        };
        let owner = claims.owner(OwnerKind::Own, &name);
        claims.claim(file.at, owner);
    }
}
