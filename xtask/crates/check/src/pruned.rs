//! The over-prune guard: whatever was deleted from an image and is needed after all.

use std::collections::BTreeSet;

use crate::linkage::{Misfit, misfits};
use contents::facts::{Kind, Note, Says};
use contents::tree::Tree;
use contents::{Inside, MOST_LOOKED_AT};
use engine::inspect::ContainerConfig;

/// Something that was found, with the file that it is about where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is so.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
    /// The file, from the image's root.
    pub path: Option<String>,
    /// Whether it may be meant: it is said, and breaks nothing.
    pub may_be_meant: bool,
}

impl Lack {
    pub(super) fn new(path: Option<&str>, what: String, remedy: &'static str) -> Lack {
        Lack { what, remedy, path: path.map(str::to_owned), may_be_meant: false }
    }

    fn meant(self) -> Lack {
        Lack { may_be_meant: true, ..self }
    }
}

/// Everything that an image lacks.
pub fn lacks(inside: &Inside<'_>) -> Vec<Lack> {
    let image = &inside.asked.image;
    let empty = ContainerConfig::default();
    let config = image.config.as_ref().unwrap_or(&empty);
    let env = config.env.clone().unwrap_or_default();
    let (tree, notes) = (&inside.tree, &inside.notes);
    let mut found = libraries(tree, notes, &env, &image.architecture);
    found.extend(extensions(tree, &image.architecture));
    found.extend(crate::commands::lacks(tree, notes, config));
    found.extend(licences(tree, notes));
    found
}

fn libraries(tree: &Tree<'_>, notes: &[&Note], env: &[String], architecture: &str) -> Vec<Lack> {
    let mut found: Vec<Lack> = misfits(tree, notes, env, architecture)
        .into_iter()
        .map(|misfit| match misfit {
            Misfit::Absent { path, needs } => Lack::new(
                Some(&path),
                format!("/{path} needs {needs}, which is not in the image"),
                "copy the library in, or delete what needs it too",
            ),
            Misfit::Aside { path, needs, at } => Lack::new(
                Some(&path),
                format!("/{path} needs {needs}, which is at /{at}, where the loader does not look"),
                "if whoever loads it does so by its path first, all is well; else give it a RUNPATH",
            )
            .meant(),
            Misfit::Interpreter { path, interpreter } => Lack::new(
                Some(&path),
                format!("/{path} is started by {interpreter}, which is not in the image"),
                "copy the loader in (Debian: libc6), or link the program statically",
            ),
            Misfit::Foreign { path } => Lack::new(
                Some(&path),
                format!("/{path} is for another processor than the image ({architecture})"),
                "take it from a build for the image's platform, or delete it",
            ),
        })
        .collect();
    for file in tree.files() {
        if let Kind::File { bytes, elf: Some(elf), .. } = file.kind
            && *bytes > MOST_LOOKED_AT
            && elf.dynamic.is_none()
        {
            let what = format!("/{} is too large to be looked into: what it needs is not checked", file.path);
            found.push(Lack::new(Some(file.path), what, "nothing; a smoke test tells").meant());
        }
    }
    found
}

/// Python's compiled modules, each for one version of one interpreter (PEP 3149).
fn extensions(tree: &Tree<'_>, architecture: &str) -> Vec<Lack> {
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
            let there: Vec<&str> = versions.iter().map(String::as_str).collect();
            let there =
                if there.is_empty() { "none".to_owned() } else { format!("cpython-{}", there.join(", ")) };
            found.push(Lack::new(
                Some(path),
                format!("/{path} is for the interpreter cpython-{version}, and the image has {there}"),
                "build it with the image's interpreter, or delete it",
            ));
        } else if platform.contains("-linux") && !platform.starts_with(machine) {
            found.push(Lack::new(
                Some(path),
                format!("/{path} is for {platform}, and the image is for {architecture}"),
                "take the wheel for the image's platform",
            ));
        }
    }
    found
}

/// Licences of packages that are installed (Debian Policy, 12.5; PEP 639).
fn licences(tree: &Tree<'_>, notes: &[&Note]) -> Vec<Lack> {
    let remedy = "keep the file: whoever hands the image on must hand the licence on too";
    let mut found = Vec::new();
    for note in notes {
        match &note.says {
            Says::Dpkg(packages) => {
                for package in packages {
                    let path = format!("usr/share/doc/{}/copyright", package.name);
                    if tree.file_at(&tree.real(&format!("{path}/."))).is_none() {
                        let what = format!("package {} has lost its licence, /{path}", package.name);
                        found.push(Lack::new(None, what, remedy));
                    }
                }
            }
            Says::Dist(package) => {
                let Some((folder, _)) = note.path.rsplit_once('/') else { continue };
                for name in &package.licence_files {
                    let places = [format!("{folder}/licenses/{name}"), format!("{folder}/{name}")];
                    // Old tools list the path in the sources, and keep the file under its last name.
                    let last = format!("{folder}/{}", name.rsplit('/').next().unwrap_or(name));
                    if !places.iter().chain([&last]).any(|path| tree.file_at(path).is_some()) {
                        let what =
                            format!("distribution {} has lost its licence, /{}", package.name, places[0]);
                        found.push(Lack::new(Some(&note.path), what, remedy));
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
    use contents::facts::{Entry, LayerFacts, Package};

    fn file(path: &str, mode: u32) -> Entry {
        Entry { path: path.into(), mode, kind: Kind::File { bytes: 1, hash: None, elf: None } }
    }

    fn link(path: &str, target: &str) -> Entry {
        Entry { path: path.into(), mode: 0o777, kind: Kind::Symlink(target.into()) }
    }

    fn whats(lacks: Vec<Lack>) -> Vec<String> {
        lacks.into_iter().map(|lack| lack.what).collect()
    }

    #[test]
    fn a_module_for_another_interpreter_is_named() {
        let at = |name: &str| file(&format!("usr/lib/python3/dist-packages/{name}"), 0o644);
        let of = |architecture| {
            let layer = LayerFacts {
                entries: vec![
                    file("usr/bin/python3.13", 0o755),
                    at("a.cpython-313-x86_64-linux-gnu.so"),
                    at("b.cpython-312-x86_64-linux-gnu.so"),
                    at("c.abi3.so"),
                ],
                notes: Vec::new(),
            };
            whats(extensions(&Tree::of(&[&layer]), architecture))
        };
        let other = "/usr/lib/python3/dist-packages/b.cpython-312-x86_64-linux-gnu.so is for the interpreter \
                     cpython-312, and the image has cpython-313";
        assert_eq!(of("amd64"), [other]);
        assert_eq!(of("arm64").len(), 2);
    }

    #[test]
    fn a_licence_that_is_gone_is_missed_and_one_behind_a_link_is_not() {
        let packages = ["libc6", "gcc-14-base", "libgcc-s1"]
            .map(|name| Package { name: name.into(), ..Package::default() });
        let dist = Package {
            name: "six".into(),
            licence_files: vec!["LICENSE".into(), "docs/NOTICE".into(), "AUTHORS".into()],
            ..Package::default()
        };
        let note = |path: &str, says| Note { path: path.into(), says };
        let layer = LayerFacts {
            entries: vec![
                file("usr/share/doc/gcc-14-base/copyright", 0o644),
                link("usr/share/doc/libgcc-s1", "gcc-14-base"),
                file("s/six.dist-info/licenses/LICENSE", 0o644),
                file("s/six.dist-info/NOTICE", 0o644),
            ],
            notes: vec![
                note("var/lib/dpkg/status", Says::Dpkg(packages.to_vec())),
                note("s/six.dist-info/METADATA", Says::Dist(dist)),
            ],
        };
        let notes: Vec<&Note> = layer.notes.iter().collect();
        assert_eq!(
            whats(licences(&Tree::of(&[&layer]), &notes)),
            [
                "package libc6 has lost its licence, /usr/share/doc/libc6/copyright",
                "distribution six has lost its licence, /s/six.dist-info/licenses/AUTHORS"
            ]
        );
    }
}
