//! Finds files that were pruned from an image and are still needed.

use std::collections::{BTreeSet, HashSet};

use crate::commands;
use crate::linkage::{LinkFault, link_faults};
use crate::prune_finding::PruneFinding;
use crate::python_modules;
use crate::secrets::KnownValues;
use anyhow::Result;
use contents::analysis::{self, Inside};
use contents::facts::{MAX_WHOLE_ELF, Metadata, MetadataFile};
use contents::image::ImageToAnalyze;
use contents::tree::Tree;
use engine::context::Context;
use engine::inspect::ContainerConfig;
use model::manifest::Manifest;

/// Everything that an image of the engine still needs and no longer has.
///
/// # Errors
/// When docker fails, the image is damaged, or the user interrupts.
pub fn in_image(image: &ImageToAnalyze, manifest: &Manifest, context: &Context) -> Result<Vec<PruneFinding>> {
    let scanner = KnownValues::read(manifest, context)?.scanner()?;
    let image = std::slice::from_ref(image);
    let found = analysis::inspect(image, &scanner, manifest, context, &mut |inside| findings(inside))?;
    Ok(found.into_iter().flatten().collect())
}

/// Everything an image still needs and no longer has.
pub fn findings(inside: &Inside<'_>) -> Vec<PruneFinding> {
    let image = &inside.image;
    let empty = ContainerConfig::default();
    let config = image.config.as_ref().unwrap_or(&empty);
    let env = config.env.clone().unwrap_or_default();
    let (tree, notes) = (&inside.tree, &inside.metadata);
    let mut found = libraries(tree, notes, &env, &image.architecture);
    found.extend(extensions(tree, &image.architecture));
    found.extend(commands::missing(tree, notes, config));
    found.extend(licences(tree, notes));
    found.extend(python_modules::findings(tree, notes));
    found
}

fn libraries(
    tree: &Tree<'_>,
    notes: &[&MetadataFile],
    env: &[String],
    architecture: &str,
) -> Vec<PruneFinding> {
    let debian = Packaged::of(notes);
    let mut found: Vec<PruneFinding> = link_faults(tree, notes, env, architecture)
        .into_iter()
        .map(|fault| match fault {
            LinkFault::Missing { path, needs } if debian.has(&path) && !debian.has_library(&needs) => {
                PruneFinding::note(
                    &path,
                    format!("/{path} needs {needs}, which is in none of the installed packages"),
                    "if the service uses this file, install the package that contains the library (often a Recommends or Suggests)",
                )
            }
            LinkFault::Missing { path, needs } => PruneFinding::new(
                Some(&path),
                format!("/{path} needs {needs}, which is not in the image"),
                "copy the library into the image, or delete the file that needs it",
            ),
            LinkFault::OffPath { path, needs, at } => PruneFinding::note(
                &path,
                format!("/{path} needs {needs}, but /{at} is not on the loader's search path"),
                "set a RUNPATH, unless the program loads the library by its path first",
            ),
            LinkFault::Loader { path, loader } => PruneFinding::new(
                Some(&path),
                format!("/{path} needs the loader {loader}, which is not in the image"),
                "copy the loader into the image (Debian: libc6), or link the program statically",
            ),
            LinkFault::Architecture { path } => PruneFinding::new(
                Some(&path),
                format!("/{path} is not built for the image's architecture, {architecture}"),
                "copy it from a build for the image's platform, or delete it",
            ),
        })
        .collect();
    for file in tree.files() {
        if let Some(elf) = file.elf
            && file.bytes > MAX_WHOLE_ELF
            && elf.dynamic.is_none()
        {
            let what = format!("/{} is too large to inspect: its libraries are not checked", file.path);
            found.push(PruneFinding::note(file.path, what, "rely on the smoke test"));
        }
    }
    found
}

/// Files of the installed Debian packages.
struct Packaged<'n>(HashSet<&'n str>);

impl<'n> Packaged<'n> {
    fn of(notes: &[&'n MetadataFile]) -> Packaged<'n> {
        let files = notes.iter().filter_map(|note| match &note.metadata {
            Metadata::DpkgFiles { files, .. } => Some(files.iter().map(String::as_str)),
            _ => None,
        });
        Packaged(files.flatten().collect())
    }

    /// Whether a package contains this file. Packages built before Debian's /usr merge list it without `usr`.
    fn has(&self, path: &str) -> bool {
        self.0.contains(path) || path.strip_prefix("usr/").is_some_and(|path| self.0.contains(path))
    }

    /// Whether a package contains a library with this name, even if the file has been deleted.
    fn has_library(&self, name: &str) -> bool {
        self.0.iter().any(|path| path.rsplit('/').next() == Some(name))
    }
}

/// Python extension modules that the image's interpreter cannot load (PEP 3149).
fn extensions(tree: &Tree<'_>, architecture: &str) -> Vec<PruneFinding> {
    let name = |path: &'_ str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let versions: BTreeSet<String> = tree
        .paths()
        .filter(|path| {
            path.contains("bin/python3.") || path.contains("lib/") && name(path).starts_with("libpython3.")
        })
        .filter_map(|path| {
            let name = name(path);
            let version = name.strip_prefix("libpython").or_else(|| name.strip_prefix("python"))?;
            let version = version.split(".so").next().unwrap_or(version);
            let is_version = version.starts_with("3.")
                && version[2..].trim_end_matches('t').bytes().all(|byte| byte.is_ascii_digit());
            is_version.then(|| version.replace('.', ""))
        })
        .collect();
    let machine = match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        other => other,
    };
    let mut found = Vec::new();
    for path in tree.paths() {
        let name = name(path);
        let Some((_, tag)) = name.split_once(".cpython-").filter(|_| name.ends_with(".so")) else { continue };
        let mut parts = tag.trim_end_matches(".so").splitn(2, '-');
        let (version, platform) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if !versions.contains(version) {
            let list: Vec<&str> = versions.iter().map(String::as_str).collect();
            let present =
                if list.is_empty() { "none".to_owned() } else { format!("cpython-{}", list.join(", ")) };
            found.push(PruneFinding::new(
                Some(path),
                format!("/{path} is built for cpython-{version}, but the image has {present}"),
                "build it with the image's interpreter, or delete it",
            ));
        } else if platform.contains("-linux") && !platform.starts_with(machine) {
            found.push(PruneFinding::new(
                Some(path),
                format!("/{path} is built for {platform}, but the image is for {architecture}"),
                "install the wheel for the image's platform",
            ));
        }
    }
    found
}

/// Missing licences of installed packages (Debian Policy, 12.5; PEP 639).
fn licences(tree: &Tree<'_>, notes: &[&MetadataFile]) -> Vec<PruneFinding> {
    let remedy = "keep the file: distributing the image requires the licence";
    let debian = Packaged::of(notes);
    let mut found = Vec::new();
    for note in notes {
        match &note.metadata {
            Metadata::Dpkg(packages) => {
                for package in packages {
                    let path = format!("usr/share/doc/{}/copyright", package.name);
                    if tree.file_at(&tree.real(&format!("{path}/."))).is_none() {
                        let what = format!("the licence of package {} is missing: /{path}", package.name);
                        found.push(PruneFinding::new(None, what, remedy));
                    }
                }
            }
            // Debian ships the licence in the package's `copyright` file instead.
            Metadata::Dist(package) if !debian.has(&note.path) => {
                let Some((folder, _)) = note.path.rsplit_once('/') else { continue };
                for name in &package.licence_files {
                    let places = [format!("{folder}/licenses/{name}"), format!("{folder}/{name}")];
                    // Old tools list the path in the sources, but install the file under its base name.
                    let last = format!("{folder}/{}", name.rsplit('/').next().unwrap_or(name));
                    if !places.iter().chain([&last]).any(|path| tree.file_at(path).is_some()) {
                        let what = format!(
                            "the licence of distribution {} is missing: /{}",
                            package.name, places[0]
                        );
                        found.push(PruneFinding::new(Some(&note.path), what, remedy));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{file, link};
    use contents::facts::{Dynamic, Elf, EntryKind, LayerEntry, LayerFacts, Package};

    fn texts(findings: Vec<PruneFinding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_module_for_another_interpreter_is_reported() {
        let at = |name: &str| file(&format!("usr/lib/python3/dist-packages/{name}"), 0o644);
        let of = |architecture| {
            let layer = LayerFacts {
                entries: vec![
                    file("usr/bin/python3.13", 0o755),
                    at("a.cpython-313-x86_64-linux-gnu.so"),
                    at("b.cpython-312-x86_64-linux-gnu.so"),
                    at("c.abi3.so"),
                ],
                metadata: Vec::new(),
            };
            texts(extensions(&Tree::of(&[&layer]), architecture))
        };
        let other = "/usr/lib/python3/dist-packages/b.cpython-312-x86_64-linux-gnu.so is built for \
                     cpython-312, but the image has cpython-313";
        assert_eq!(of("amd64"), [other]);
        assert_eq!(of("arm64").len(), 2);
    }

    #[test]
    fn a_library_that_was_never_installed_was_not_pruned() {
        let listed = |files: &[&str]| {
            let files = files.iter().map(ToString::to_string).collect();
            Metadata::DpkgFiles { package: "p".into(), files, md5: Vec::new() }
        };
        let plugin = "usr/lib/x86_64-linux-gnu/tc/q_atm.so";
        let notes = |files: &[&str]| {
            let needs =
                Dynamic { machine: 62, wide: true, needed: vec!["libatm.so.1".into()], ..Dynamic::default() };
            let elf = Elf { dynamic: Some(Box::new(needs)), ..Elf::default() };
            let kind = EntryKind::File { bytes: 1, hash: None, elf: Some(Box::new(elf)) };
            let entry = LayerEntry { path: plugin.into(), mode: 0o644, owner: [0; 2], kind };
            let layer = LayerFacts { entries: vec![entry], metadata: Vec::new() };
            let list = MetadataFile { path: "var/lib/dpkg/info/p.list".into(), metadata: listed(files) };
            let found = libraries(&Tree::of(&[&layer]), &[&list], &[], "amd64");
            found.into_iter().map(|finding| finding.is_note).collect::<Vec<_>>()
        };
        assert_eq!(notes(&[plugin]), [true]);
        assert_eq!(notes(&["lib/x86_64-linux-gnu/tc/q_atm.so"]), [true]);
        assert_eq!(notes(&[plugin, "usr/lib/x86_64-linux-gnu/libatm.so.1"]), [false], "a package has it");
        assert_eq!(notes(&["usr/bin/other"]), [false], "no package has the plugin");
    }

    #[test]
    fn a_missing_licence_is_reported_unless_a_link_leads_to_it() {
        let packages = ["libc6", "gcc-14-base", "libgcc-s1"]
            .map(|name| Package { name: name.into(), ..Package::default() });
        let dist = Package {
            name: "six".into(),
            licence_files: vec!["LICENSE".into(), "docs/NOTICE".into(), "AUTHORS".into()],
            ..Package::default()
        };
        let note = |path: &str, metadata| MetadataFile { path: path.into(), metadata };
        let layer = LayerFacts {
            entries: vec![
                file("usr/share/doc/gcc-14-base/copyright", 0o644),
                link("usr/share/doc/libgcc-s1", "gcc-14-base"),
                file("s/six.dist-info/licenses/LICENSE", 0o644),
                file("s/six.dist-info/NOTICE", 0o644),
            ],
            metadata: vec![
                note("var/lib/dpkg/status", Metadata::Dpkg(packages.to_vec())),
                note("s/six.dist-info/METADATA", Metadata::Dist(dist.clone())),
                note("d/six.dist-info/METADATA", Metadata::Dist(dist)),
                note(
                    "var/lib/dpkg/info/python3-six.list",
                    Metadata::DpkgFiles {
                        package: "python3-six".into(),
                        files: vec!["d/six.dist-info/METADATA".into()],
                        md5: Vec::new(),
                    },
                ),
            ],
        };
        let notes: Vec<&MetadataFile> = layer.metadata.iter().collect();
        assert_eq!(
            texts(licences(&Tree::of(&[&layer]), &notes)),
            [
                "the licence of package libc6 is missing: /usr/share/doc/libc6/copyright",
                "the licence of distribution six is missing: /s/six.dist-info/licenses/AUTHORS"
            ]
        );
    }
}
