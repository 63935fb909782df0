//! Owners of files that no package manager lists: npm modules, runtimes of upstream images, programs, models, web files,
//! the service's own code.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::attribution::claims::{Claims, folders_above};
use crate::attribution::python::source_of;
use crate::facts::{Ecosystem, Metadata, MetadataFile, Module, Part};
use crate::hints::Hints;
use crate::metadata::npm_root;
use crate::owner::OwnerKind;
use crate::purl;
use crate::tree::{Tree, VisibleFile};

/// File name endings of weights.
const WEIGHTS: [&str; 10] =
    [".onnx", ".safetensors", ".gguf", ".ggml", ".pt", ".pth", ".ckpt", ".tflite", ".h5", ".onnx_data"];
/// A `.bin` of this size or more counts as weights.
const MIN_BIN: u64 = 1_000_000;
/// Document roots of web servers.
const WEB_ROOTS: [&str; 4] =
    ["usr/share/nginx/html", "var/www/html", "usr/share/caddy", "usr/local/apache2/htdocs"];

/// Claims npm modules. Returns the number of packages.
pub fn npm(metadata: &[&MetadataFile], claims: &mut Claims<'_, '_>) -> u64 {
    let mut packages = HashMap::new();
    for file in metadata {
        let (Metadata::Npm(package), Some(root)) = (&file.metadata, npm_root(&file.path)) else { continue };
        let owner = claims.owner_of_version(OwnerKind::Npm, &package.name, &package.version);
        let filled = claims.owner_mut(owner);
        filled.licence.clone_from(&package.licence);
        filled.purl = Some(purl::npm(package));
        packages.insert(root, owner);
    }
    for file in claims.unclaimed() {
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

/// Claims everything else that heuristics recognize.
pub fn claim(tree: &Tree<'_>, hints: &Hints, claims: &mut Claims<'_, '_>) {
    runtimes(tree, hints, claims);
    models(hints, claims);
    web(claims);
    programs(claims);
    own(hints, claims);
}

/// What Python installs below its prefix.
const PYTHON: &str = "lib/pythonVERSION/ include/pythonVERSION/ bin/python bin/pip bin/idle bin/pydoc bin/2to3 \
    lib/libpython lib/pkgconfig/python share/man/man1/python";
/// What Node.js installs below its prefix.
const NODE: &str =
    "bin/node include/node/ share/doc/node/ share/man/man1/node.1 CHANGELOG.md README.md LICENSE";

/// What Ruby installs below its prefix.
const RUBY: &str = "lib/ruby/ lib/libruby include/ruby lib/pkgconfig/ruby share/ri/ share/man/man1/ruby share/man/man1/erb \
    share/man/man1/ri share/man/man1/irb share/doc/ruby bin/ruby bin/gem bin/bundle bin/irb bin/erb bin/rake bin/rdoc bin/ri bin/racc \
    bin/rbs bin/typeprof bin/rdbg bin/syntax_suggest bin/test-unit";
/// What PHP installs below its prefix, and what its image adds.
const PHP: &str = "bin/php bin/phar bin/pear bin/pecl bin/docker-php sbin/php-fpm lib/php/ include/php/ php/ etc/php etc/pear";
/// What .NET installs into its folder.
const DOTNET: &str = "shared/ host/ sdk/ sdk-manifests/ packs/ templates/ library-packs/ dotnet LICENSE.txt ThirdPartyNotices.txt";

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

/// Runtimes that upstream images install without a package manager, with their version in an environment variable.
fn runtimes(tree: &Tree<'_>, hints: &Hints, claims: &mut Claims<'_, '_>) {
    let mut found: Vec<(&str, &str, &str, String)> = Vec::new();
    let all = |start: &str| start.to_owned();
    for path in tree.paths() {
        if let Some(library) = path.strip_suffix("/os.py")
            && let Some((prefix, version)) = library.rsplit_once("/lib/python")
            && version.starts_with("3.")
            && !version.contains('/')
        {
            found.push(("python", "PYTHON_VERSION", prefix, PYTHON.replace("VERSION", version)));
        } else if let Some(prefix) = path.strip_suffix("/include/node/node_version.h") {
            found.push(("node", "NODE_VERSION", prefix, NODE.to_owned()));
        } else if let Some(prefix) = path.strip_suffix("/go/bin/go") {
            found.push(("go", "GOLANG_VERSION", prefix, "go/".to_owned()));
        } else if let Some((prefix, _)) = path.split_once("/rustup/toolchains/")
            && !found.iter().any(|(name, ..)| *name == "rust")
        {
            found.push(("rust", "RUST_VERSION", prefix, "rustup/ cargo/".to_owned()));
        } else if let Some((prefix, rest)) = path.split_once("/lib/ruby/")
            && rest
                .split_once('/')
                .is_some_and(|(version, name)| version.starts_with(is_digit) && name == "rubygems.rb")
        {
            found.push(("ruby", "RUBY_VERSION", prefix, all(RUBY)));
        } else if let Some(prefix) = path.strip_suffix("/include/php/main/php_version.h") {
            found.push(("php", "PHP_VERSION", prefix, all(PHP)));
        } else if let Some(prefix) = path.strip_suffix("/lib/jrt-fs.jar").filter(|prefix| !prefix.is_empty())
        {
            found.push(("java", "JAVA_VERSION", prefix, String::new()));
        } else if let Some((prefix, rest)) = path.split_once("/shared/Microsoft.NETCore.App/")
            && rest.ends_with("/Microsoft.NETCore.App.deps.json")
        {
            found.push(("dotnet", "DOTNET_VERSION", prefix, all(DOTNET)));
        }
    }
    for (name, variable, prefix, starts) in found {
        let owner = claims.owner(OwnerKind::Runtime, name);
        let version = hints.env.iter().find_map(|pair| pair.strip_prefix(variable)?.strip_prefix('='));
        claims.owner_mut(owner).version = version.map(str::to_owned);
        let below = format!("{prefix}/");
        claims.offer(|file, _| {
            let rest = file.path.strip_prefix(&below)?;
            starts.split(' ').any(|start| rest.starts_with(start)).then_some(owner)
        });
    }
}

fn is_weights(file: &VisibleFile<'_>) -> bool {
    WEIGHTS.iter().any(|ending| file.path.ends_with(ending))
        || (file.path.ends_with(".bin") && file.bytes >= MIN_BIN)
}

/// A model is its weights and the rest of their folder: tokenizer, configuration.
fn models(hints: &Hints, claims: &mut Claims<'_, '_>) {
    let free = claims.unclaimed();
    let folders: BTreeSet<&str> = free
        .iter()
        .filter(|file| is_weights(file))
        .map(|file| file.path.rsplit_once('/').map_or("", |(folder, _)| folder))
        .collect();
    for file in free {
        let Some(folder) = folders_above(file.path).chain([""]).find(|folder| folders.contains(folder))
        else {
            continue;
        };
        // In a folder of code and weights, only the weights belong to the model.
        let is_model_folder = !folder.is_empty() && folder != hints.working_dir && file.elf.is_none();
        if is_weights(&file) || is_model_folder {
            let name = if is_model_folder { format!("/{folder}") } else { format!("/{}", file.path) };
            let owner = claims.owner(OwnerKind::Model, &name);
            claims.claim(file.at, owner);
        }
    }
}

/// Web files: below document roots and folders with an `index.html`.
fn web(claims: &mut Claims<'_, '_>) {
    let free = claims.unclaimed();
    let index = free.iter().filter_map(|file| file.path.strip_suffix("/index.html"));
    let roots: BTreeSet<&str> = index.chain(WEB_ROOTS).collect();
    for file in free {
        // The topmost root: a site may contain other sites.
        let ends = file.path.match_indices('/').map(|(at, _)| &file.path[..at]);
        if let Some(root) = ends.into_iter().find(|folder| roots.contains(folder)) {
            let owner = claims.owner(OwnerKind::Static, &format!("/{root}"));
            claims.claim(file.at, owner);
        }
    }
}

/// Programs and libraries outside of packages, with the documentation folder of the same name.
fn programs(claims: &mut Claims<'_, '_>) {
    let mut documented: BTreeMap<&str, usize> = BTreeMap::new();
    for file in claims.unclaimed() {
        let Some(elf) = file.elf else { continue };
        let kind = match &elf.go {
            Some(_) => OwnerKind::Go,
            None if elf.rust => OwnerKind::Rust,
            None => OwnerKind::Program,
        };
        let owner = claims.owner(kind, &format!("/{}", file.path));
        let filled = claims.owner_mut(owner);
        let part = |ecosystem, name: &str, version: &str| Part {
            ecosystem,
            name: name.into(),
            version: version.into(),
        };
        filled.parts = elf.crates.iter().map(|one| part(Ecosystem::Cargo, &one.name, &one.version)).collect();
        if let Some(go) = &elf.go {
            let module = |module: &Module| {
                part(Ecosystem::Golang, &module.path, module.version.as_deref().unwrap_or_default())
            };
            // The main module is the program itself.
            filled.version = go.main.as_ref().and_then(|main| main.version.clone());
            filled.purl = go.main.as_ref().and_then(|main| purl::part(&module(main)));
            filled.parts.extend(go.modules.iter().map(module));
            filled.parts.push(part(Ecosystem::Golang, "stdlib", &go.version));
        }
        filled.parts.sort();
        filled.parts.dedup();
        claims.claim(file.at, owner);
        documented.entry(file.name()).or_insert(owner);
    }
    claims.offer(|file, _| {
        let folder = file.path.strip_prefix("usr/share/doc/")?.split('/').next()?;
        documented.get(folder).copied()
    });
}

/// The service's own code: the files that its command names, and its working directory.
fn own(hints: &Hints, claims: &mut Claims<'_, '_>) {
    let command: Vec<&str> = hints.command.iter().filter_map(|word| word.strip_prefix('/')).collect();
    let folders = [hints.working_dir.as_str(), "app"];
    for file in claims.unclaimed() {
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
